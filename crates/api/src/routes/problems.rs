//! The problems that routes answer with, for the OpenAPI document: each stands there once, with an example that is made as an
//! answer is.

use std::collections::BTreeMap;
use std::time::Duration;

use mlflow_client::ClientError;
use service::ServiceError;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::response::Response;
use utoipa::openapi::{OpenApi, Ref, RefOr};
use utoipa::{IntoResponses, ToSchema};

use crate::openapi::of_problem;
use crate::problem::{Problem, ProblemBody};
use crate::stream::StreamForm;

/// A problem, by the name it has in the document.
struct Told {
    name: &'static str,
    description: &'static str,
    /// The path of the request that the example answers.
    instance: &'static str,
    example: fn() -> Problem,
}

const UNREADABLE: Told = Told {
    name: "Unreadable",
    description: "The request cannot be read: an id breaks its rule, the body is not JSON, or MLflow cannot read the filter.",
    instance: "/api/traces/batch",
    example: || {
        Problem::unreadable("the request body is not JSON: EOF while parsing an object at line 1 column 1")
    },
};
const UNIDENTIFIED: Told = Told {
    name: "Unidentified",
    description: "The proxy names the user in a way that cannot be read, or passes no token of theirs on where one is needed.",
    instance: "/api/user/me",
    example: || Problem::unidentified("x-forwarded-email"),
};
const DENIED: Told = Told {
    name: "Denied",
    description: "The user may not do this: it is for developers, or about what is not assigned to them. So is a change that a page of another origin asks for.",
    instance: "/api/label-schemas",
    example: || ServiceError::AccessDenied("only developers may do that").into(),
};
const UNKNOWN: Told = Told {
    name: "Unknown",
    description: "Something that is named does not exist.",
    instance: "/api/label-schemas/clarity",
    example: || ServiceError::SchemaNotFound("clarity".to_owned()).into(),
};
const NOT_ACCEPTABLE: Told = Told {
    name: "NotAcceptable",
    description: "`Accept` allows none of the forms.",
    instance: "/api/traces/tr-6513270e269e0d37f2a74de452e6b438/spans",
    example: || Problem::not_acceptable(StreamForm::OFFERED),
};
const CONFLICT: Told = Told {
    name: "Conflict",
    description: "The name is taken, the thing was changed by someone else meanwhile, or its state does not allow it.",
    instance: "/api/label-schemas",
    example: || ServiceError::Conflict("there is a label schema named \"tone\" already".to_owned()).into(),
};
const TOO_LARGE: Told = Told {
    name: "TooLarge",
    description: "The body is larger than 2 MiB (configurable).",
    instance: "/api/traces/batch",
    example: || Problem::body_too_large(2 << 20),
};
const NOT_JSON: Told = Told {
    name: "NotJson",
    description: "The body is not declared as JSON, or is compressed.",
    instance: "/api/traces/batch",
    example: Problem::not_json,
};
const INVALID: Told = Told {
    name: "Invalid",
    description: "A field or a parameter breaks the rule that is told.",
    instance: "/api/mlflow/search-traces",
    example: || Problem::invalid_field("max_results", "must be a whole number from 1 to 10000"),
};
const RATE_LIMITED: Told = Told {
    name: "RateLimited",
    description: "MLflow asks to slow down; `retry-after` says how long.",
    instance: "/api/mlflow/search-traces",
    example: rate_limited,
};
const FAILED: Told = Told {
    name: "Failed",
    description: "The server failed; its log says more under the `request_id`.",
    instance: "/api/mlflow/search-traces",
    example: Problem::internal,
};
const UPSTREAM: Told = Told {
    name: "Upstream",
    description: "MLflow answered what cannot be used, or does not accept this server's credentials.",
    instance: "/api/traces/batch",
    example: || ServiceError::TooManySpans.into(),
};
const UNAVAILABLE: Told = Told {
    name: "Unavailable",
    description: "MLflow or a database cannot be reached, or more is asked of this server than it takes on; `retry-after` says when to try again.",
    instance: "/api/mlflow/search-traces",
    example: Problem::overloaded,
};
const TIMEOUT: Told = Told {
    name: "Timeout",
    description: "There was no answer in time; `retry-after` says when to try again.",
    instance: "/api/mlflow/search-traces",
    example: || Problem::out_of_time(Duration::from_mins(1)),
};

const ALL: [Told; 14] = [
    UNREADABLE,
    UNIDENTIFIED,
    DENIED,
    UNKNOWN,
    NOT_ACCEPTABLE,
    CONFLICT,
    TOO_LARGE,
    NOT_JSON,
    INVALID,
    RATE_LIMITED,
    FAILED,
    UPSTREAM,
    UNAVAILABLE,
    TIMEOUT,
];

fn rate_limited() -> Problem {
    let limited = ClientError::RateLimited {
        operation: "search_traces",
        retry_after: None,
    };
    ServiceError::from(limited).into()
}

macro_rules! problems {
    ($($(#[$doc:meta])* $group:ident: $($told:ident),+;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $group;

        impl IntoResponses for $group {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                BTreeMap::from([$($told.reference()),+])
            }
        }
    )+};
}

problems! {
    /// What any route that asks MLflow can answer.
    UpstreamProblems: RATE_LIMITED, FAILED, UPSTREAM, UNAVAILABLE, TIMEOUT;

    /// What a route that asks nobody can answer, because all take turns.
    ServerProblems: FAILED, UNAVAILABLE, TIMEOUT;

    /// What a route can answer that is answered in any case.
    OwnProblems: FAILED;

    /// What a route that reads one thing by its id can answer besides.
    ReadProblems: UNREADABLE, UNIDENTIFIED, DENIED, UNKNOWN;

    /// What a route that says who asks can answer besides.
    IdentityProblems: UNIDENTIFIED;

    /// What a route that is for some users alone can answer besides.
    RoleProblems: UNIDENTIFIED, DENIED;

    /// What a route that names things in its path or body can answer besides.
    UnknownProblems: UNKNOWN;

    /// What a route that changes something can answer besides.
    ConflictProblems: CONFLICT;

    /// What a route that takes a query string can answer besides.
    QueryProblems: INVALID;

    /// What a route that answers in several forms can answer besides.
    FormProblems: NOT_ACCEPTABLE;

    /// What a route that takes a body can answer besides.
    BodyProblems: UNREADABLE, UNIDENTIFIED, DENIED, TOO_LARGE, NOT_JSON, INVALID;
}

impl Told {
    fn status(&self) -> String {
        (self.example)().status().as_u16().to_string()
    }

    fn reference(&self) -> (String, RefOr<Response>) {
        (self.status(), RefOr::Ref(Ref::from_response_name(self.name)))
    }

    fn response(&self) -> Result<Response, serde_json::Error> {
        let example = (self.example)().body("5a0d6f0c1f0b4b0e9d4f7a3c2b1e0d9f", self.instance);
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(ProblemBody::name())))
            .example(Some(serde_json::to_value(example)?));
        let mut response = Response::new(self.description);
        response
            .content
            .insert("application/problem+json".to_owned(), RefOr::T(content.build()));
        of_problem(&mut response, &self.status());
        Ok(response)
    }
}

/// Adds what the routes refer to.
///
/// # Errors
/// When an example cannot be written as JSON, which would be a fault in its making.
pub fn with_problems(mut document: OpenApi) -> Result<OpenApi, serde_json::Error> {
    let components = document.components.get_or_insert_default();
    for told in ALL {
        components
            .responses
            .insert(told.name.to_owned(), told.response()?.into());
    }
    Ok(document)
}
