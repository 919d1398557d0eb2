//! Reads ids from paths. A text that is not an id answers 404, like an id that no record has.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use uuid::Uuid;

use super::problem::Problem;
use crate::domain::ids::{DeliveryId, ExportId};
use crate::domain::webhook::endpoint::EndpointId;

/// Makes an extractor of the `{id}` of a path. `$what` names the kind of record, `$prefix` is what
/// the id starts with, and `$new` makes it from its UUID.
macro_rules! id_path {
    ($name:ident($id:ty), $what:literal, $prefix:literal, $new:expr) => {
        #[derive(Debug, Clone, Copy)]
        pub struct $name(pub $id);

        impl $name {
            /// No record of this kind has the id.
            pub(super) fn not_found() -> Problem {
                Problem::no_such($what)
            }
        }

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                let Path(text) = Path::<String>::from_request_parts(parts, state)
                    .await
                    .map_err(|_| Self::not_found())?;
                let uuid = text.strip_prefix($prefix).map(Uuid::try_parse);
                match uuid {
                    Some(Ok(uuid)) => Ok(Self($new(uuid))),
                    _ => Err(Self::not_found()),
                }
            }
        }
    };
}

id_path!(ExportPath(ExportId), "export", "", ExportId);
id_path!(EndpointPath(EndpointId), "webhook endpoint", "", EndpointId);
id_path!(JobPath(Uuid), "webhook job", "", Uuid::from);
id_path!(KeyPath(Uuid), "API key", "", Uuid::from);
id_path!(DeliveryPath(DeliveryId), "delivery", "msg_", DeliveryId);
