//! Checks of a request that a create and a preflight share.

use crate::api::ApiState;
use crate::api::problem::Problem;
use crate::domain::export::request::ExportRequest;

/// Rejects a request whose callback's host resolves to an address that is not allowed.
pub(super) async fn vet_callback(
    state: &ApiState,
    request: Result<ExportRequest, Problem>,
) -> Result<ExportRequest, Problem> {
    let request = request?;
    if let Some(callback) = &request.callback {
        Box::pin(state.vet("/callback_url", &callback.url)).await?;
    }
    Ok(request)
}
