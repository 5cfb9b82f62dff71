//! The client itself: what every family of calls in `api/` hangs on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use breaker::BreakerReport;
use calls::Calls;
use secrecy::SecretString;
use tokio::sync::OnceCell;

use crate::auth::{ConfigError, TrackingServer};
use crate::capabilities::{Capabilities, Flavor};
use crate::config::ClientConfig;
use crate::error::ClientError;
use crate::transport::{Call, Transport};

/// `GET /version` may take this long; a server without an answer counts as a new one.
const VERSION_LIMIT: Duration = Duration::from_secs(3);

/// After a failure the version is not asked for again for this long.
const VERSION_PAUSE: Duration = Duration::from_secs(5);

/// A client of one MLflow server or Databricks workspace. Clones are cheap and share everything.
#[derive(Debug, Clone)]
pub struct MlflowClient {
    transport: Transport,
    learned: Arc<Learned>,
}

/// The server, and what was learned of it by whoever called.
#[derive(Debug)]
struct Learned {
    server: TrackingServer,
    capabilities: OnceCell<Arc<Capabilities>>,
    version_failed_at: Mutex<Option<Instant>>,
}

impl MlflowClient {
    /// Makes a client; sends nothing yet.
    ///
    /// # Errors
    /// When credentials cannot stand in a header or TLS cannot be set up.
    pub fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        let learned = Learned {
            server: config.server.clone(),
            capabilities: OnceCell::new(),
            version_failed_at: Mutex::default(),
        };
        Ok(Self {
            transport: Transport::new(config)?,
            learned: Arc::new(learned),
        })
    }

    /// The same client, calling in the name of a user with a token of their own: what the server refuses them is
    /// [`ClientError::UserUnauthorized`] or [`ClientError::UserForbidden`].
    ///
    /// # Errors
    /// When the token cannot stand in a header.
    pub fn of_user(&self, token: &SecretString) -> Result<Self, ConfigError> {
        Ok(Self {
            transport: self.transport.of_user(token)?,
            learned: Arc::clone(&self.learned),
        })
    }

    /// The server this client talks to.
    pub fn server(&self) -> &TrackingServer {
        &self.learned.server
    }

    /// What the server is and can do; asked on first use and kept once the server answered.
    pub async fn capabilities(&self) -> Arc<Capabilities> {
        let flavor = self.learned.server.flavor;
        let learned = self.learned.capabilities.get_or_try_init(|| async {
            let version = match flavor {
                Flavor::Databricks => None,
                Flavor::OpenSource => self.version_unless_it_failed_just_now().await?,
            };
            let client = self.clone();
            tokio::spawn(async move { client.connection_reuse().await });
            Ok::<_, ClientError>(Arc::new(Capabilities::new(flavor, version)))
        });
        match learned.await {
            Ok(capabilities) => Arc::clone(capabilities),
            Err(_) => Arc::new(Capabilities::new(flavor, None)),
        }
    }

    /// Those who wait here ask one after the other: when the first had no answer, the others do not wait for theirs.
    async fn version_unless_it_failed_just_now(&self) -> Result<Option<String>, ClientError> {
        let failed_at = || {
            self.learned
                .version_failed_at
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let has_just_failed = failed_at().is_some_and(|at| at.elapsed() < VERSION_PAUSE);
        if has_just_failed || self.transport().leaves_server_alone() {
            return Err(ClientError::Timeout {
                operation: "version",
                phase: "pause after a failure",
                limit: VERSION_PAUSE,
            });
        }
        let version = self.version().await;
        *failed_at() = version.is_err().then(Instant::now);
        version
    }

    /// The version an open-source server tells; `None` when it has no such route.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn version(&self) -> Result<Option<String>, ClientError> {
        let call = Call::get("version", "/version");
        match self.transport().short_text(&call, 256, VERSION_LIMIT).await {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.is_transient() => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Whether calls go through: to the server, and to the cloud store that it signs URLs of.
    pub fn breakers(&self) -> [BreakerReport; 2] {
        self.transport().breakers()
    }

    /// What is counted of calls, whoever makes them.
    pub fn calls(&self) -> &Calls {
        self.transport().calls()
    }

    /// Whether connections are used again; measures first if that is not decided.
    /// `None` when the server did not answer.
    pub async fn connection_reuse(&self) -> Option<bool> {
        self.transport().connection_reuse().await
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }
}
