//! The chat model that analyses may ask for insights.

use std::time::Duration;

use calls::Calls;
use chat_client::{ChatClient, ChatConfig};
use clap::Args;
use humantime::parse_duration;
use secrecy::{ExposeSecret, SecretString};
use service::insights::ModelPolicy;

use super::mlflow::secret;
use super::{ConfigError, given};

/// Time to open a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The chat model that analyses may ask for insights.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// The chat model that analyses ask for insights: a serving endpoint of the workspace where MLflow is Databricks, or a model of
    /// `OPENAI_BASE_URL`. Unset, analyses are made without one, unless a request names it.
    #[arg(long, env = "MODEL_ENDPOINT", value_name = "NAME")]
    model_endpoint: Option<String>,
    /// An OpenAI-compatible server that is asked in place of the workspace: `https://HOST/v1`, below which `/chat/completions` is.
    /// Unset, nothing of a trace is sent anywhere but to the workspace.
    #[arg(long, env = "OPENAI_BASE_URL", value_name = "URL", hide_env_values = true, value_parser = secret)]
    openai_base_url: Option<SecretString>,
    /// The bearer token for that server.
    #[arg(long, env = "OPENAI_API_KEY", value_name = "SECRET", hide_env_values = true, value_parser = secret)]
    openai_api_key: Option<SecretString>,
    /// Time for one question to the model, its tries included.
    #[arg(long, env = "TRACE_SERVER_MODEL_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    model_timeout: Duration,
    /// Tokens that one analysis may take, of questions and answers together; estimated where the server does not count them.
    #[arg(
        long,
        env = "TRACE_SERVER_MODEL_TOKENS",
        value_name = "COUNT",
        default_value_t = 30_000
    )]
    model_tokens: u32,
}

impl ModelArgs {
    /// The model that is asked where a request names none.
    pub fn name(&self) -> Option<&str> {
        given(self.model_endpoint.as_ref())
    }

    /// Which model is asked, and what that may cost.
    pub fn policy(&self) -> ModelPolicy {
        ModelPolicy {
            name: self.name().map(str::to_owned),
            timeout: self.model_timeout,
            token_budget: self.model_tokens,
        }
    }

    /// The OpenAI-compatible server, where one is set; what it is asked is counted with these calls.
    ///
    /// # Errors
    /// When its address or key cannot be used.
    pub fn openai(&self, calls: &Calls) -> Result<Option<ChatClient>, ConfigError> {
        let Some(url) = given_secret(self.openai_base_url.as_ref()) else {
            return Ok(None);
        };
        let config = ChatConfig {
            base_url: url.parse().map_err(|_| ConfigError::ModelUrl)?,
            api_key: given_secret(self.openai_api_key.as_ref()).map(Into::into),
            connect_timeout: CONNECT_TIMEOUT,
            timeout: self.model_timeout,
            calls: calls.clone(),
        };
        Ok(Some(ChatClient::new(config)?))
    }
}

/// A secret that is there and not empty.
fn given_secret(secret: Option<&SecretString>) -> Option<&str> {
    let text = secret?.expose_secret().trim();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Cli;
    use clap::Parser;

    fn args(flags: &[&str]) -> ModelArgs {
        Cli::parse_from([&["trace-server"], flags].concat()).config.model
    }

    #[test]
    fn nobody_is_asked_unless_an_address_is_set() {
        assert!(
            args(&["--openai-api-key", "k"])
                .openai(&Calls::default())
                .unwrap()
                .is_none()
        );
        assert!(
            args(&["--openai-base-url", " "])
                .openai(&Calls::default())
                .unwrap()
                .is_none()
        );
        let set = args(&["--openai-base-url", "http://localhost:11434/v1"]);
        assert!(set.openai(&Calls::default()).unwrap().is_some());
    }

    #[test]
    fn an_address_or_a_key_that_cannot_be_used_is_refused_unseen() {
        for flags in [
            &["--openai-base-url", "planted"][..],
            &["--openai-base-url", "ftp://planted/v1"],
            &["--openai-base-url", "https://planted@host/v1"],
            &[
                "--openai-base-url",
                "https://host/v1",
                "--openai-api-key",
                "planted\u{7}",
            ],
        ] {
            let args = args(flags);
            let error = args.openai(&Calls::default()).unwrap_err();
            assert!(error.to_string().starts_with("OPENAI_"), "{error}");
            assert!(
                !format!("{error} {error:?} {args:?}").contains("planted"),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_name_of_blanks_is_none() {
        assert_eq!(args(&["--model-endpoint", " "]).policy().name, None);
        assert_eq!(args(&["--model-endpoint", "m "]).name(), Some("m"));
    }
}
