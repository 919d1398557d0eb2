//! Why an attempt got no response: a message, and a stable error class.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use tableferry_domain::error_chain::chain;
use tableferry_domain::invalid::Invalid;
use tableferry_domain::webhook::error_class::ErrorClass;

/// No message repeats the URL, which may contain a token of the receiver.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("the receiver is not allowed")]
    Forbidden(#[source] Forbidden),
    #[error("the URL cannot be used")]
    Url(#[source] Invalid),
    #[error("an extra header has a name or value that cannot be sent")]
    Header,
    #[error("the receiver's host name does not resolve")]
    NameNotFound(#[source] io::Error),
    #[error("cannot connect to the receiver")]
    Connection(#[source] io::Error),
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    #[error("no response in time: timed out {}", .0.as_str())]
    TimedOut(AttemptPhase),
    /// The connection was closed before a response arrived, or the response is not valid HTTP.
    #[error("the connection was lost before a response arrived")]
    Lost(#[source] hyper::Error),
}

/// What timed out. Reading the body is not a phase: the status is known by then, and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptPhase {
    Name,
    Connect,
    Tls,
    /// Waiting for the head of the response, after the request was sent.
    Answer,
}

impl AttemptPhase {
    fn as_str(self) -> &'static str {
        match self {
            Self::Name => "looking up its host name",
            Self::Connect => "connecting",
            Self::Tls => "in the TLS handshake",
            Self::Answer => "waiting for the response",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Forbidden {
    #[error("its URL {0}")]
    Url(Invalid),
    #[error("its host name resolves only to addresses that are not allowed")]
    Address,
}

impl SendError {
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
            Self::TimedOut(AttemptPhase::Name) => ErrorClass::LookupTimedOut,
            Self::TimedOut(AttemptPhase::Connect) => ErrorClass::ConnectTimedOut,
            Self::TimedOut(AttemptPhase::Tls) => ErrorClass::TlsTimedOut,
            Self::TimedOut(AttemptPhase::Answer) => ErrorClass::TimedOut,
            Self::Lost(error) => of_lost(error),
        }
    }
}

/// `None` if the error is not a TLS error.
fn of_tls(error: &io::Error) -> Option<ErrorClass> {
    use rustls::Error as Tls;
    // The error inside an I/O error is not among its sources.
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
        // In RFC 8446 this alert means that no acceptable set of parameters was found.
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
