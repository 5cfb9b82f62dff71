//! Who asks, and how that is said: the security schemes.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, SecurityRequirement};

use super::operations;

/// Schemes that one header is; each has its name in the document, the header, and what it means.
const HEADERS: [(&str, &str, &str); 4] = [
    (
        "forwarded_email",
        "X-Forwarded-Email",
        "The user's e-mail address, set by a proxy that everyone must pass (Databricks Apps is one) and taken for true only where \
         the server was told of it (`TRACE_SERVER_TRUST_PROXY`). A client never sets it itself.",
    ),
    (
        "forwarded_user",
        "X-Forwarded-User",
        "The user's name, from the same proxy; counts where there is no `X-Forwarded-Email`.",
    ),
    (
        "forwarded_preferred_username",
        "X-Forwarded-Preferred-Username",
        "The user's name, from the same proxy; counts where neither of the others is there.",
    ),
    (
        "forwarded_access_token",
        "X-Forwarded-Access-Token",
        "The user's own token, from the same proxy. Needed where MLflow is asked with each user's rights \
         (`TRACE_SERVER_AUTH=user`), and not used elsewhere.",
    ),
];

const APP: &str = "databricks_app";
const OF_APP: &str = "For clients of a Databricks app: an OAuth token of the workspace (`databricks auth token`, or that of a service \
     principal). The app's proxy checks it, takes it away, and names its user in the headers above. Elsewhere it has no meaning.";

/// Adds the schemes and says where they are needed. An operation that cannot answer 401 does not look at who asks.
pub(super) fn with_identity(mut document: OpenApi) -> OpenApi {
    let components = document.components.get_or_insert_default();
    for (name, header, description) in HEADERS {
        let value = ApiKeyValue::with_description(header, description);
        components.add_security_scheme(name, SecurityScheme::ApiKey(ApiKey::Header(value)));
    }
    let app = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(OF_APP));
    components.add_security_scheme(APP, SecurityScheme::Http(app.build()));

    let alone = |name| SecurityRequirement::new(name, NO_SCOPES);
    document.security = Some(vec![
        // Without a proxy it is the local user.
        SecurityRequirement::default(),
        alone(APP),
        alone("forwarded_email"),
        alone("forwarded_user"),
        alone("forwarded_preferred_username"),
        alone("forwarded_email").add("forwarded_access_token", NO_SCOPES),
    ]);
    for operation in operations(&mut document) {
        if !operation.responses.responses.contains_key("401") {
            operation.security = Some(Vec::new());
        }
    }
    document
}

const NO_SCOPES: [&str; 0] = [];
