//! Classes of delivery errors. The same words are used in the database, in responses and in logs.

use serde::Serialize;

/// The kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", schema(as = DeliveryErrorClass))]
pub enum ErrorClass {
    /// The receiver answered 429, 502, 503 or 504.
    Overloaded,
    /// It answered another 4xx.
    Refused,
    /// It answered a status that is neither 2xx, 3xx nor 4xx.
    ReceiverError,
    /// It answered 410.
    Gone,
    /// It answered 3xx.
    Redirected,
    /// There was no answer in time.
    TimedOut,
    /// No connection could be made.
    ConnectionFailed,
    /// The connection broke off before an answer had come.
    ConnectionLost,
    /// The TLS handshake failed.
    TlsFailed,
    /// The receiver's name was not found.
    NameNotFound,
    /// The receiver refused the connection.
    ConnectionRefused,
    /// There was no connection in time.
    ConnectTimedOut,
    /// The connection was reset before an answer had come.
    ConnectionReset,
    /// Resolving the receiver's name took too long.
    LookupTimedOut,
    /// There was no secured connection in time.
    TlsTimedOut,
    /// The receiver and this service have no TLS version in common.
    TlsVersion,
    /// The receiver and this service have no cipher or key exchange in common.
    TlsCipher,
    /// HTTP/1.1 is not among the receiver's protocols.
    TlsAlpn,
    /// The receiver's certificate has expired.
    CertificateExpired,
    /// It is not valid yet.
    CertificateNotYetValid,
    /// It is for another name.
    CertificateWrongName,
    /// It is from an authority that this machine does not trust.
    CertificateUnknownIssuer,
    /// It is invalid for another reason.
    CertificateInvalid,
    /// The answer is not HTTP/1.x.
    InvalidAnswer,
    /// The operator's policy does not allow the URL, or any address of its name.
    ForbiddenAddress,
    /// The URL cannot be used.
    InvalidUrl,
    /// An extra header of the endpoint cannot be sent.
    InvalidHeader,
    /// This service has no key to sign with.
    NotSigned,
}

impl ErrorClass {
    pub const ALL: [Self; 28] = [
        Self::Overloaded,
        Self::Refused,
        Self::ReceiverError,
        Self::Gone,
        Self::Redirected,
        Self::TimedOut,
        Self::ConnectionFailed,
        Self::ConnectionLost,
        Self::TlsFailed,
        Self::NameNotFound,
        Self::ConnectionRefused,
        Self::ConnectTimedOut,
        Self::ConnectionReset,
        Self::LookupTimedOut,
        Self::TlsTimedOut,
        Self::TlsVersion,
        Self::TlsCipher,
        Self::TlsAlpn,
        Self::CertificateExpired,
        Self::CertificateNotYetValid,
        Self::CertificateWrongName,
        Self::CertificateUnknownIssuer,
        Self::CertificateInvalid,
        Self::InvalidAnswer,
        Self::ForbiddenAddress,
        Self::InvalidUrl,
        Self::InvalidHeader,
        Self::NotSigned,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::Refused => "refused",
            Self::ReceiverError => "receiver_error",
            Self::Gone => "gone",
            Self::Redirected => "redirected",
            Self::TimedOut => "timed_out",
            Self::ConnectionFailed => "connection_failed",
            Self::ConnectionLost => "connection_lost",
            Self::TlsFailed => "tls_failed",
            Self::NameNotFound => "name_not_found",
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectTimedOut => "connect_timed_out",
            Self::ConnectionReset => "connection_reset",
            Self::LookupTimedOut => "lookup_timed_out",
            Self::TlsTimedOut => "tls_timed_out",
            Self::TlsVersion => "tls_version",
            Self::TlsCipher => "tls_cipher",
            Self::TlsAlpn => "tls_alpn",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotYetValid => "certificate_not_yet_valid",
            Self::CertificateWrongName => "certificate_wrong_name",
            Self::CertificateUnknownIssuer => "certificate_unknown_issuer",
            Self::CertificateInvalid => "certificate_invalid",
            Self::InvalidAnswer => "invalid_answer",
            Self::ForbiddenAddress => "forbidden_address",
            Self::InvalidUrl => "invalid_url",
            Self::InvalidHeader => "invalid_header",
            Self::NotSigned => "not_signed",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }

    /// The class of a receiver's status; `None` for any 2xx.
    #[must_use]
    pub fn from_status(code: u16) -> Option<Self> {
        match code {
            200..=299 => None,
            300..=399 => Some(Self::Redirected),
            410 => Some(Self::Gone),
            429 | 502 | 503 | 504 => Some(Self::Overloaded),
            400..=499 => Some(Self::Refused),
            _ => Some(Self::ReceiverError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_the_same_everywhere() {
        for class in ErrorClass::ALL {
            assert_eq!(ErrorClass::parse(class.as_str()), Some(class));
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
    }
}
