//! Why an attempt got no answer, in words and in one stable word.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use tableferry_domain::invalid::Invalid;
use tableferry_domain::webhook::error_class::ErrorClass;
use tableferry_telemetry::error_chain::chain;

/// Why an attempt got no answer. No text repeats the URL, which may carry a token of the
/// receiver's.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The policy does not allow the URL, or any address of its name.
    #[error("the receiver is not allowed")]
    Forbidden(#[source] Forbidden),
    /// The URL cannot be used.
    #[error("the URL cannot be used")]
    Url(#[source] Invalid),
    /// An extra header cannot be sent.
    #[error("an extra header has a name or value that cannot be sent")]
    Header,
    /// The name has no address, or it does not resolve.
    #[error("the receiver's name was not found")]
    NameNotFound(#[source] io::Error),
    /// No connection could be made.
    #[error("the connection could not be made")]
    Connection(#[source] io::Error),
    /// The receiver does not speak TLS, hangs up before it does, or its certificate is not valid.
    #[error("the connection could not be secured")]
    Tls(#[source] io::Error),
    /// Something was not done in time.
    #[error("no answer in time: {}", .0.as_str())]
    TimedOut(Phase),
    /// The connection broke off before an answer had come, or what came is no answer.
    #[error("the connection was lost before there was an answer")]
    Lost(#[source] hyper::Error),
}

/// What was waited for. The body of an answer is waited for too, but its status is known by then,
/// and is what counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The look-up of the name.
    Name,
    /// The connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The head of the answer, once the request was on its way.
    Answer,
}

impl Phase {
    fn as_str(self) -> &'static str {
        match self {
            Self::Name => "its name was being looked up",
            Self::Connect => "the connection was being made",
            Self::Tls => "the connection was being secured",
            Self::Answer => "the request was sent",
        }
    }
}

/// Why a receiver is not allowed.
#[derive(Debug, thiserror::Error)]
pub enum Forbidden {
    /// Its URL breaks a rule.
    #[error("its URL {0}")]
    Url(Invalid),
    /// Its name leads to addresses, and none may be reached.
    #[error("its name resolves to no address that may be reached")]
    Address,
}

impl SendError {
    /// The class.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Forbidden(_) => ErrorClass::ForbiddenAddress,
            Self::Url(_) => ErrorClass::InvalidUrl,
            Self::Header => ErrorClass::InvalidHeader,
            Self::NameNotFound(_) => ErrorClass::NameNotFound,
            Self::Connection(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                ErrorClass::ConnectionRefused
            }
            Self::Connection(_) => ErrorClass::ConnectionFailed,
            Self::Tls(error) => of_tls(error).unwrap_or(ErrorClass::TlsFailed),
            Self::TimedOut(Phase::Name) => ErrorClass::LookupTimedOut,
            Self::TimedOut(Phase::Connect) => ErrorClass::ConnectTimedOut,
            Self::TimedOut(Phase::Tls) => ErrorClass::TlsTimedOut,
            Self::TimedOut(Phase::Answer) => ErrorClass::TimedOut,
            Self::Lost(error) => of_lost(error),
        }
    }
}

/// What TLS did not like; nothing if it is no failure of TLS.
fn of_tls(error: &io::Error) -> Option<ErrorClass> {
    use rustls::Error as Tls;
    // What an I/O error wraps is not among its causes.
    Some(match error.get_ref()?.downcast_ref::<Tls>()? {
        Tls::InvalidCertificate(flaw) => match flaw {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                ErrorClass::CertificateExpired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                ErrorClass::CertificateNotYetValid
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                ErrorClass::CertificateWrongName
            }
            CertificateError::UnknownIssuer => ErrorClass::CertificateUnknownIssuer,
            _ => ErrorClass::CertificateInvalid,
        },
        Tls::AlertReceived(AlertDescription::ProtocolVersion)
        | Tls::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => ErrorClass::TlsVersion,
        // By RFC 8446 this alert says that no acceptable set of parameters was found.
        Tls::AlertReceived(
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
        )
        | Tls::PeerIncompatible(_) => ErrorClass::TlsCipher,
        Tls::AlertReceived(AlertDescription::NoApplicationProtocol)
        | Tls::NoApplicationProtocol => ErrorClass::TlsAlpn,
        _ => ErrorClass::TlsFailed,
    })
}

fn of_lost(error: &hyper::Error) -> ErrorClass {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    let below = |cause: &&(dyn Error + 'static)| cause.is::<io::Error>();
    match chain(error)
        .find(below)
        .and_then(|cause| cause.downcast_ref::<io::Error>())
    {
        Some(cause)
            if matches!(
                cause.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset
            ) =>
        {
            ErrorClass::ConnectionReset
        }
        Some(cause) => of_tls(cause).unwrap_or(ErrorClass::ConnectionLost),
        None if error.is_parse() => ErrorClass::InvalidAnswer,
        None => ErrorClass::ConnectionLost,
    }
}
