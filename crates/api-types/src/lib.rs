//! The JSON that callers of the API and receivers of webhooks see.
