//! Buckets: create, find, list, tag and delete.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::bucket::BucketInfo;
use super::service::S3Service;
use super::store::StoreError;
use crate::caller::{Caller, DEFAULT_REGION};

const BUCKET_REGION: http::HeaderName = http::HeaderName::from_static("x-amz-bucket-region");
const MAX_BUCKETS: i32 = 10_000;

impl S3Service {
    pub(super) fn make_bucket(
        &self,
        req: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let constraint = req
            .input
            .create_bucket_configuration
            .and_then(|settings| settings.location_constraint);
        let owner = req
            .extensions
            .get::<Caller>()
            .map(|caller| caller.account.clone())
            .unwrap_or_default();
        let region = constraint.map_or_else(
            || DEFAULT_REGION.to_owned(),
            |region| region.as_str().to_owned(),
        );
        let info = BucketInfo {
            owner: owner.clone(),
            region: region.clone(),
            deny_exports: false,
            created_at: self.clock.now(),
            tags: std::collections::BTreeMap::new(),
        };
        let name = req.input.bucket;
        match self.store.create_bucket(&name, info) {
            // In us-east-1, and only there, S3 reports success when an owner creates their bucket
            // again.
            Err(StoreError::BucketExists(whose))
                if whose == owner
                    && region == DEFAULT_REGION
                    && self.store.bucket(&name)?.region == DEFAULT_REGION =>
            {
                Ok(S3Response::new(CreateBucketOutput {
                    location: Some(format!("/{name}")),
                }))
            }
            Err(StoreError::BucketExists(whose)) if whose == owner => Err(s3_error!(
                BucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it."
            )),
            made => {
                made?;
                Ok(S3Response::new(CreateBucketOutput {
                    location: Some(format!("/{name}")),
                }))
            }
        }
    }

    pub(super) fn remove_bucket(
        &self,
        req: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        self.store.delete_bucket(&req.input.bucket, false)?;
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    pub(super) async fn find_bucket(
        &self,
        req: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let info = self.store.bucket(&req.input.bucket)?;
        // S3 returns a bucket's region even to callers without access.
        let with_region = |mut error: s3s::S3Error| {
            if let Ok(region) = http::HeaderValue::try_from(info.region.as_str()) {
                error.set_headers(http::HeaderMap::from_iter([(BUCKET_REGION, region)]));
            }
            error
        };
        self.disturb("HeadBucket", &req)
            .await
            .map_err(with_region)?;
        if req
            .extensions
            .get::<Caller>()
            .is_some_and(|caller| caller.signed && caller.region != info.region)
        {
            let sentence = "The bucket you are attempting to access must be addressed using the specified endpoint.";
            return Err(with_region(s3_error!(PermanentRedirect, "{sentence}")));
        }
        self.bucket(&req, &req.input.bucket).map_err(with_region)?;
        Ok(S3Response::new(HeadBucketOutput {
            bucket_region: Some(info.region),
            ..HeadBucketOutput::default()
        }))
    }

    pub(super) async fn policy(
        &self,
        req: S3Request<GetBucketPolicyInput>,
    ) -> S3Result<S3Response<GetBucketPolicyOutput>> {
        let name = &req.input.bucket;
        let info = self.bucket(&req, name)?;
        self.disturb("GetBucketPolicy", &req).await?;
        if !info.deny_exports {
            return Err(s3_error!(
                NoSuchBucketPolicy,
                "The bucket policy does not exist"
            ));
        }
        let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [{
            "Sid": "DenyExports", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{name}/*"),
        }]});
        Ok(S3Response::new(GetBucketPolicyOutput {
            policy: Some(policy.to_string()),
        }))
    }

    pub(super) fn location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let info = self.bucket(&req, &req.input.bucket)?;
        let location_constraint =
            (info.region != DEFAULT_REGION).then(|| BucketLocationConstraint::from(info.region));
        Ok(S3Response::new(GetBucketLocationOutput {
            location_constraint,
        }))
    }

    pub(super) fn list_mine(
        &self,
        req: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let account = req
            .extensions
            .get::<Caller>()
            .map(|caller| caller.account.clone());
        let input = req.input;
        let mut mine = self
            .store
            .bucket_names()
            .into_iter()
            .filter(|(name, info)| {
                account
                    .as_ref()
                    .is_none_or(|account| *account == info.owner)
                    && input
                        .prefix
                        .as_ref()
                        .is_none_or(|prefix| name.starts_with(prefix))
                    && input
                        .bucket_region
                        .as_ref()
                        .is_none_or(|region| *region == info.region)
                    && input
                        .continuation_token
                        .as_ref()
                        .is_none_or(|after| name > after)
            });
        let most = usize::try_from(input.max_buckets.unwrap_or(MAX_BUCKETS)).unwrap_or_default();
        let buckets: Vec<Bucket> = mine
            .by_ref()
            .take(most)
            .map(|(name, info)| Bucket {
                name: Some(name),
                creation_date: Some(info.created_at.into()),
                bucket_region: Some(info.region),
            })
            .collect();
        let continuation_token = mine.next().and_then(|_| buckets.last()?.name.clone());
        let owner = Some(Owner {
            id: account,
            display_name: None,
        });
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(buckets),
            owner,
            prefix: input.prefix,
            continuation_token,
        }))
    }

    pub(super) fn bucket_tags(
        &self,
        req: S3Request<GetBucketTaggingInput>,
    ) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        let info = self.bucket(&req, &req.input.bucket)?;
        if info.tags.is_empty() {
            return Err(s3_error!(NoSuchTagSet, "The TagSet does not exist"));
        }
        let tag_set = info
            .tags
            .into_iter()
            .map(|(key, value)| Tag {
                key: Some(key),
                value: Some(value),
            })
            .collect();
        Ok(S3Response::new(GetBucketTaggingOutput { tag_set }))
    }

    pub(super) fn tag_bucket<T>(
        &self,
        req: &S3Request<T>,
        name: &str,
        tags: TagSet,
    ) -> S3Result<()> {
        self.bucket(req, name)?;
        let tags = tags
            .into_iter()
            .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
            .collect();
        Ok(self.store.change_bucket(name, |info| info.tags = tags)?)
    }
}
