//! The values of the label `reason` of two counters, as enums: what a site counts is what the
//! catalogue starts at 0.

use crate::metrics_catalog::{AUTH_FAILURES, CUT};

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$meaning:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$meaning])* $variant,)*
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The label's value.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// Why a connection or request was cut or refused; docs/operations.md explains each.
    CutReason {
        ConnectionsFull = "connections_full",
        OverCapacity = "crowded",
        IdleGaveWay = "idle_gave_way",
        HeadSize = "head_size",
        HeadTime = "head_time",
        WriteTime = "write_time",
        TlsHandshake = "tls_handshake",
        TlsHandshakeTime = "tls_handshake_time",
        ProxyHeader = "proxy_header",
        RequestsFull = "requests_full",
        BodySize = "body_size",
        BodyTime = "body_time",
        BodiesFull = "bodies_full",
        AnswerTime = "answer_time",
    }
}

impl CutReason {
    pub fn count(self) {
        metrics::counter!(CUT, "reason" => self.as_str()).increment(1);
    }
}

reasons! {
    /// Why a caller was not authenticated.
    AuthFailureReason {
        Missing = "missing",
        Malformed = "malformed",
        Unknown = "unknown",
        Expired = "expired",
        Revoked = "revoked",
        Token = "token",
        TooMany = "too_many",
        IssuerAway = "issuer_away",
        DatabaseAway = "database_away",
    }
}

impl AuthFailureReason {
    pub fn count(self) {
        metrics::counter!(AUTH_FAILURES, "reason" => self.as_str()).increment(1);
    }
}
