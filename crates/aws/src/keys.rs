//! KMS keys that exports are encrypted with.

use super::Aws;
use super::call::ask;
use super::error::bad_answer;
use super::operations::Operation;
use tableferry_domain::aws::failure::AwsFailure;
use tableferry_domain::preflight::KeyFacts;

impl Aws {
    /// DescribeKey for the id, ARN or alias of a key, with an account's credentials. An unknown key
    /// fails with `NotFoundException`.
    pub async fn describe_key(
        &self,
        account_id: &str,
        region: &str,
        key_id: &str,
    ) -> Result<KeyFacts, AwsFailure> {
        let answer = ask(
            Operation::DescribeKey,
            self.kms(account_id, region)
                .describe_key()
                .key_id(key_id)
                .send(),
        )
        .await?;
        let key = answer
            .key_metadata()
            .ok_or_else(|| bad_answer("KeyMetadata"))?;
        let word = |word: Option<&str>| word.unwrap_or("unknown").to_owned();
        Ok(KeyFacts {
            state: word(key.key_state().map(|state| state.as_str())),
            usage: word(key.key_usage().map(|usage| usage.as_str())),
            spec: word(key.key_spec().map(|spec| spec.as_str())),
        })
    }

    fn kms(&self, account_id: &str, region: &str) -> aws_sdk_kms::Client {
        self.kms.get(self.signer(account_id), region, || {
            aws_sdk_kms::Client::new(&self.config(account_id, region))
        })
    }
}
