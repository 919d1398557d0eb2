//! Reads ids from paths. A text that is not an id answers 404, like an id that no record has.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use uuid::Uuid;

use super::problem::Problem;
use crate::domain::ids::{DeliveryId, ExportId};
use crate::domain::webhook::endpoint::EndpointId;

/// Makes an extractor of the `{id}` of a path; `$read` reads it, `$what` names the kind of record.
macro_rules! id_path {
    ($name:ident($id:ty), $what:literal, $read:expr) => {
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
                let read: fn(&str) -> Option<$id> = $read;
                read(&text).map(Self).ok_or_else(Self::not_found)
            }
        }
    };
}

id_path!(ExportPath(ExportId), "export", |text| uuid(text)
    .map(ExportId));
id_path!(EndpointPath(EndpointId), "webhook endpoint", |text| uuid(
    text
)
.map(EndpointId));
id_path!(JobPath(Uuid), "webhook job", uuid);
id_path!(KeyPath(Uuid), "API key", uuid);
id_path!(DeliveryPath(DeliveryId), "delivery", |text| uuid(
    text.strip_prefix("msg_")?
)
.map(DeliveryId));

fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}
