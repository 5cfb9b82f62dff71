use std::io::Write;

use secrecy::ExposeSecret;

use super::*;

fn workspace_env() -> AuthSettings {
    AuthSettings {
        databricks_host: Some("adb-1.azuredatabricks.net".into()),
        databricks_token: Some("dapi-hunter2".into()),
        ..AuthSettings::default()
    }
}

fn bearer_of(server: &TrackingServer) -> &str {
    match &server.credentials {
        Credentials::Bearer(token) => token.expose_secret(),
        other => panic!("expected a bearer token, got {other:?}"),
    }
}

#[test]
fn a_plain_url_needs_no_credentials_and_keeps_its_path() {
    let server = TrackingServer::resolve("http://mlflow:5000/prefix/", &AuthSettings::default()).unwrap();
    assert_eq!(server.base_url.as_str(), "http://mlflow:5000/prefix/");
    assert_eq!(server.flavor, Flavor::OpenSource);
    assert!(matches!(server.credentials, Credentials::None));
}

#[test]
fn basic_wins_over_a_token_and_the_url_wins_over_both() {
    let settings = AuthSettings {
        mlflow_username: Some("ann".into()),
        mlflow_password: Some("pw".into()),
        mlflow_token: Some("token".into()),
        ..AuthSettings::default()
    };
    let from_env = TrackingServer::resolve("http://mlflow", &settings).unwrap();
    assert!(matches!(&from_env.credentials, Credentials::Basic { username, .. } if username == "ann"));

    let from_url = TrackingServer::resolve("http://b%40x:p%2Fw@mlflow", &settings).unwrap();
    let Credentials::Basic { username, password } = &from_url.credentials else {
        panic!("expected basic")
    };
    assert_eq!((username.as_str(), password.expose_secret()), ("b@x", "p/w"));
    assert_eq!(from_url.base_url.as_str(), "http://mlflow/");
}

#[test]
fn a_workspace_token_never_goes_to_another_host() {
    let server = TrackingServer::resolve("https://mlflow.example.com", &workspace_env()).unwrap();
    assert!(matches!(server.credentials, Credentials::None));
    let lookalike =
        TrackingServer::resolve("https://azuredatabricks.net.evil.example", &workspace_env()).unwrap();
    assert!(matches!(lookalike.credentials, Credentials::None));
}

#[test]
fn a_workspace_is_known_by_its_host_or_by_the_word_databricks() {
    for uri in ["databricks", "https://adb-1.azuredatabricks.net/?o=1"] {
        let server = TrackingServer::resolve(uri, &workspace_env()).unwrap();
        assert_eq!(server.flavor, Flavor::Databricks);
        assert_eq!(server.base_url.as_str(), "https://adb-1.azuredatabricks.net/");
        assert_eq!(bearer_of(&server), "dapi-hunter2");
    }
}

#[test]
fn two_ways_to_authenticate_are_refused() {
    let settings = AuthSettings {
        databricks_client_id: Some("id".into()),
        databricks_client_secret: Some("secret".into()),
        ..workspace_env()
    };
    let error = TrackingServer::resolve("databricks", &settings).unwrap_err();
    assert!(matches!(error, ConfigError::TwoCredentials), "{error}");
}

#[test]
fn a_profile_named_in_the_uri_wins_over_the_environment() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(
        file,
        "[DEFAULT]\nhost = https://default.cloud.databricks.com\ntoken = dapi-default\n"
    )
    .unwrap();
    writeln!(
        file,
        "[staging]\nhost = https://staging.cloud.databricks.com/\nclient_id = id\nclient_secret = a%b\\c\n"
    )
    .unwrap();
    let settings = AuthSettings {
        databricks_config_file: Some(file.path().into()),
        ..AuthSettings::default()
    };

    let default = TrackingServer::resolve("databricks", &settings).unwrap();
    assert_eq!(bearer_of(&default), "dapi-default");

    let settings = AuthSettings {
        databricks_config_file: Some(file.path().into()),
        ..workspace_env()
    };
    let staging = TrackingServer::resolve("databricks://staging", &settings).unwrap();
    assert_eq!(staging.base_url.host_str(), Some("staging.cloud.databricks.com"));
    let Credentials::OAuthM2M { client_secret, .. } = &staging.credentials else {
        panic!("expected OAuth")
    };
    assert_eq!(client_secret.expose_secret(), "a%b\\c");

    let error = TrackingServer::resolve("databricks://nope", &settings).unwrap_err();
    assert!(matches!(error, ConfigError::ProfileMissing { .. }), "{error}");
}

#[test]
fn plain_http_to_a_workspace_is_for_this_machine_only() {
    let at = |host: &str| AuthSettings {
        databricks_host: Some(host.into()),
        ..workspace_env()
    };
    assert!(TrackingServer::resolve("databricks", &at("http://127.0.0.1:9")).is_ok());
    let error = TrackingServer::resolve("databricks", &at("http://10.0.0.1")).unwrap_err();
    assert!(matches!(error, ConfigError::PlainHttpWorkspace), "{error}");
}

#[test]
fn no_message_and_no_debug_shows_a_secret() {
    for uri in [
        "http://ann:hunter2@ho st",
        "ftp://ann:hunter2@host",
        "ann:hunter2@host",
    ] {
        let error = TrackingServer::resolve(uri, &AuthSettings::default()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let server = TrackingServer::resolve("http://ann:hunter2@host", &workspace_env()).unwrap();
    assert!(!format!("{server:?}").contains("hunter2"));
    assert!(!format!("{:?}", workspace_env()).contains("hunter2"));
}
