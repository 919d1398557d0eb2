//! Checksums of objects and parts: checksums from clients are verified, stored and returned.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::Digest as _;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::{ChecksumAlgorithm, ChecksumType};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use serde::{Deserialize, Serialize};

/// The algorithms that S3 supports, in the order in which [`claims`] lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

const ALGORITHMS: [Algorithm; 5] = [
    Algorithm::Crc32,
    Algorithm::Crc32c,
    Algorithm::Crc64Nvme,
    Algorithm::Sha1,
    Algorithm::Sha256,
];

impl Algorithm {
    pub(super) fn of(named: &ChecksumAlgorithm) -> S3Result<Self> {
        ALGORITHMS.into_iter().find(|algorithm| algorithm.name() == named.as_str()).ok_or_else(|| {
            s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => ChecksumAlgorithm::CRC32,
            Self::Crc32c => ChecksumAlgorithm::CRC32C,
            Self::Crc64Nvme => ChecksumAlgorithm::CRC64NVME,
            Self::Sha1 => ChecksumAlgorithm::SHA1,
            Self::Sha256 => ChecksumAlgorithm::SHA256,
        }
    }

    pub(super) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Crc32 => Crc32::checksum(bytes).to_vec(),
            Self::Crc32c => Crc32c::checksum(bytes).to_vec(),
            Self::Crc64Nvme => Crc64Nvme::checksum(bytes).to_vec(),
            Self::Sha1 => Sha1::checksum(bytes).to_vec(),
            Self::Sha256 => Sha256::checksum(bytes).to_vec(),
        }
    }
}

/// A checksum as S3 stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sum {
    pub(super) algorithm: Algorithm,
    /// Base64; a composite checksum ends with the number of its parts.
    pub(super) value: String,
    /// A checksum over the checksums of the parts, not over the object's bytes.
    pub(super) composite: bool,
}

impl Sum {
    /// The checksum over all bytes.
    pub(super) fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        Self {
            algorithm,
            value: BASE64.encode(algorithm.digest(bytes)),
            composite: false,
        }
    }

    /// The checksum over the checksums of the parts.
    pub(super) fn composite<'a>(
        algorithm: Algorithm,
        parts: impl Iterator<Item = &'a [u8]>,
    ) -> Self {
        let sums: Vec<Vec<u8>> = parts.map(|part| algorithm.digest(part)).collect();
        let value = format!(
            "{}-{}",
            BASE64.encode(algorithm.digest(&sums.concat())),
            sums.len()
        );
        Self {
            algorithm,
            value,
            composite: true,
        }
    }

    pub(super) fn kind(&self) -> ChecksumType {
        ChecksumType::from_static(if self.composite {
            ChecksumType::COMPOSITE
        } else {
            ChecksumType::FULL_OBJECT
        })
    }

    /// Returns an error if the claimed checksum differs from this one.
    pub(super) fn bears_out(&self, claim: &Claim) -> S3Result<()> {
        let value = if claim.value.contains('-') {
            &self.value
        } else {
            self.value.split('-').next().unwrap_or_default()
        };
        if claim.algorithm == self.algorithm && claim.value != *value {
            let name = self.algorithm.name();
            return Err(s3_error!(
                BadDigest,
                "The {name} you specified did not match the calculated checksum."
            ));
        }
        Ok(())
    }
}

/// The checksum that a request claims.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) algorithm: Algorithm,
    pub(super) value: String,
}

/// The claim among a request's members for the five algorithms, in the order of [`ALGORITHMS`]. At
/// most one is allowed.
pub(super) fn claim(values: [Option<String>; 5]) -> S3Result<Option<Claim>> {
    let mut claims = ALGORITHMS
        .into_iter()
        .zip(values)
        .filter_map(|(algorithm, value)| {
            Some(Claim {
                algorithm,
                value: value?,
            })
        });
    let Some(claim) = claims.next() else {
        return Ok(None);
    };
    if claims.next().is_some() {
        return Err(s3_error!(
            InvalidRequest,
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        ));
    }
    let bytes = BASE64
        .decode(claim.value.split('-').next().unwrap_or_default())
        .unwrap_or_default();
    if bytes.len() != claim.algorithm.digest(b"").len() {
        let name = claim.algorithm.name().to_ascii_lowercase();
        return Err(s3_error!(
            InvalidRequest,
            "Value for x-amz-checksum-{name} header is invalid."
        ));
    }
    Ok(Some(claim))
}

/// Verifies the claims of a request about its body and returns the checksum to store, with the
/// claimed or named algorithm, if any.
pub(super) fn check(
    bytes: &[u8],
    content_md5: Option<&str>,
    claim: Option<&Claim>,
    named: Option<&ChecksumAlgorithm>,
) -> S3Result<Option<Sum>> {
    if let Some(content_md5) = content_md5 {
        let claimed = BASE64.decode(content_md5).unwrap_or_default();
        if claimed.len() != 16 {
            return Err(S3Error::with_message(
                S3ErrorCode::InvalidDigest,
                "The Content-MD5 you specified was invalid.",
            ));
        }
        if claimed != md5::Md5::digest(bytes).as_slice() {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
    }
    if let Some(claim) = claim {
        let sum = Sum::of(claim.algorithm, bytes);
        sum.bears_out(claim)?;
        return Ok(Some(sum));
    }
    named
        .map(|named| Ok(Sum::of(Algorithm::of(named)?, bytes)))
        .transpose()
}

/// The request members that can hold a checksum.
macro_rules! claims {
    ($input:expr) => {
        [
            $input.checksum_crc32.clone(),
            $input.checksum_crc32c.clone(),
            $input.checksum_crc64nvme.clone(),
            $input.checksum_sha1.clone(),
            $input.checksum_sha256.clone(),
        ]
    };
}

/// Puts a checksum, if there is one, into the response member of its algorithm.
macro_rules! show_sum {
    ($answer:expr, $sum:expr) => {
        if let Some(sum) = $sum {
            let value = Some(sum.value.clone());
            match sum.algorithm {
                $crate::s3::checksums::Algorithm::Crc32 => $answer.checksum_crc32 = value,
                $crate::s3::checksums::Algorithm::Crc32c => $answer.checksum_crc32c = value,
                $crate::s3::checksums::Algorithm::Crc64Nvme => $answer.checksum_crc64nvme = value,
                $crate::s3::checksums::Algorithm::Sha1 => $answer.checksum_sha1 = value,
                $crate::s3::checksums::Algorithm::Sha256 => $answer.checksum_sha256 = value,
            }
        }
    };
}

pub(super) use {claims, show_sum};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_published_check_values() {
        for (algorithm, hex) in [
            (Algorithm::Crc32, "cbf43926"),
            (Algorithm::Crc32c, "e3069283"),
            (Algorithm::Crc64Nvme, "ae8b14860a799888"),
            (Algorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        ] {
            assert_eq!(
                crate::s3::hex(&algorithm.digest(b"123456789")),
                hex,
                "{algorithm:?}"
            );
        }
    }

    #[test]
    fn claims_are_checked() {
        let claimed = |value: &str| claim([Some(value.to_owned()), None, None, None, None]);
        let right = claimed("y/Q5Jg==").unwrap().unwrap();
        assert_eq!(
            check(b"123456789", None, Some(&right), None)
                .unwrap()
                .unwrap()
                .value,
            "y/Q5Jg=="
        );
        let wrong = claimed("AAAAAA==").unwrap().unwrap();
        assert_eq!(
            check(b"123456789", None, Some(&wrong), None)
                .unwrap_err()
                .code()
                .as_str(),
            "BadDigest"
        );
        assert!(claimed("no base64").is_err());
        assert!(claimed("AAAA").is_err(), "too short");
        assert!(
            claim([
                Some("y/Q5Jg==".to_owned()),
                Some("y/Q5Jg==".to_owned()),
                None,
                None,
                None
            ])
            .is_err()
        );
        assert_eq!(
            check(b"x", Some("AAAA"), None, None)
                .unwrap_err()
                .code()
                .as_str(),
            "InvalidDigest"
        );
        assert_eq!(
            check(b"x", Some("AAAAAAAAAAAAAAAAAAAAAA=="), None, None)
                .unwrap_err()
                .code()
                .as_str(),
            "BadDigest"
        );
    }
}
