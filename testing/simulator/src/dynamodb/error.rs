//! Errors as DynamoDB sends them: an HTTP status, a namespaced type and a message.

use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    namespace: &'static str,
    code: &'static str,
    message: String,
}

const DYNAMODB: &str = "com.amazonaws.dynamodb.v20120810";
const KMS: &str = "com.amazonaws.kms.v20141101";
const VALIDATE: &str = "com.amazon.coral.validate";
const SERVICE: &str = "com.amazon.coral.service";
const AVAILABILITY: &str = "com.amazon.coral.availability";

impl ApiError {
    /// An error of DynamoDB's own model.
    pub(crate) fn modelled(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            namespace: DYNAMODB,
            code,
            message: message.into(),
        }
    }

    /// An error of KMS's model.
    pub(crate) fn kms(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            namespace: KMS,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            namespace: VALIDATE,
            code: "ValidationException",
            message: message.into(),
        }
    }

    pub(crate) fn invalid_request(message: impl std::fmt::Display) -> Self {
        Self::validation(format!("Invalid Request: {message}"))
    }

    /// The same error, worded as an invalid request.
    pub(crate) fn into_invalid_request(self) -> Self {
        Self {
            message: format!("Invalid Request: {}", self.message),
            ..self
        }
    }

    pub(crate) fn serialization(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            namespace: SERVICE,
            code: "SerializationException",
            message: message.into(),
        }
    }

    /// AWS sends no message here. The simulator does, because the operation may exist at AWS.
    pub(crate) fn unknown_operation(operation: &str) -> Self {
        let message = format!(
            "The simulator does not know the operation '{operation}'. Its README lists those that it knows."
        );
        Self {
            status: 400,
            namespace: SERVICE,
            code: "UnknownOperationException",
            message,
        }
    }

    pub(crate) fn access_denied() -> Self {
        Self {
            status: 400,
            namespace: SERVICE,
            code: "AccessDeniedException",
            message: "Access is denied".to_owned(),
        }
    }

    pub(crate) fn expired_token() -> Self {
        let message = "The security token included in the request is expired".to_owned();
        Self {
            status: 400,
            namespace: SERVICE,
            code: "ExpiredTokenException",
            message,
        }
    }

    pub(crate) fn throttled() -> Self {
        Self {
            status: 400,
            namespace: AVAILABILITY,
            code: "ThrottlingException",
            message: "Rate exceeded".to_owned(),
        }
    }

    pub(crate) fn internal() -> Self {
        let message = "Internal server error".to_owned();
        Self {
            status: 500,
            namespace: DYNAMODB,
            code: "InternalServerError",
            message,
        }
    }

    pub(crate) fn export_table_not_found(table: &str) -> Self {
        Self::modelled(
            "TableNotFoundException",
            format!("Table not found: {table}"),
        )
    }

    pub(crate) fn resource_not_found() -> Self {
        Self::modelled("ResourceNotFoundException", "Requested resource not found")
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn body(&self) -> Value {
        let kind = format!("{}#{}", self.namespace, self.code);
        match self.code {
            "SerializationException" | "AccessDeniedException" => {
                json!({"__type": kind, "Message": self.message})
            }
            _ => json!({"__type": kind, "message": self.message}),
        }
    }
}
