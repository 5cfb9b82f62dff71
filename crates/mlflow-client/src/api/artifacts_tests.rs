use super::*;
use crate::testing::{Sent, Server};

/// A run with nothing but its id and where its artifacts are.
fn run(artifact_uri: &str) -> Run {
    let info = json!({"run_id": "0369c190", "artifact_uri": artifact_uri});
    serde_json::from_value(json!({ "info": info })).unwrap()
}

#[test]
fn a_location_says_whether_the_server_serves_it() {
    for (location, folder) in [
        ("mlflow-artifacts:/2/r1/artifacts", Some("2/r1/artifacts")),
        (
            "mlflow-artifacts://host:5000/2/r1/artifacts/",
            Some("2/r1/artifacts"),
        ),
        ("mlflow-artifacts:/2/../3", None),
        ("s3://bucket/2/r1", None),
        ("/mlruns/2/r1", None),
        ("", None),
    ] {
        assert_eq!(served_folder(&run(location)), folder, "{location}");
    }
}

const MISSING: &str = r#"{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No such artifact: 'a/b.md'"}"#;

#[tokio::test]
async fn what_the_server_serves_is_written_and_read_under_its_path() {
    let server = Server::answering([(503, ""), (200, ""), (200, "# Title"), (404, MISSING)]).await;
    let (client, run) = (server.client(), run("mlflow-artifacts:/2/0369c190/artifacts"));
    let put = client.put_artifact(&run, "a/b.md", "# Title".into(), "text/markdown");
    put.await.unwrap();
    assert_eq!(
        client.get_artifact(&run, "a/b.md").await.unwrap().unwrap(),
        "# Title"
    );
    assert_eq!(client.get_artifact(&run, "a/b.md").await.unwrap(), None);
    let path = "/api/2.0/mlflow-artifacts/artifacts/2/0369c190/artifacts/a/b.md";
    let lines: Vec<_> = server
        .calls()
        .into_iter()
        .map(|sent| (sent.line, sent.text))
        .collect();
    let put = (format!("PUT {path}"), "# Title".to_owned());
    let get = (format!("GET {path}"), String::new());
    assert_eq!(lines, [put.clone(), put, get.clone(), get]);
}

/// As MLflow 2.22.1 answers.
const FAILED: &str = r#"{"error_code": "INTERNAL_ERROR", "message": "No such file or directory"}"#;
const EMPTY: &str = r#"{"root_uri": "mlflow-artifacts:/2/0369c190/artifacts"}"#;
const LISTED: &str = r#"{"root_uri": "mlflow-artifacts:/2/0369c190/artifacts",
    "files": [{"path": "a/b.md", "is_dir": false, "file_size": 7}, {"path": "a/c", "is_dir": true}]}"#;

async fn found(answers: Vec<(u16, &'static str)>, path: &str) -> Result<Option<Bytes>, ClientError> {
    let server = Server::answering(answers).await;
    let run = run("mlflow-artifacts:/2/0369c190/artifacts");
    let found = server.client().get_artifact(&run, path).await;
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let asked = server.calls()[1].line.clone();
    let list = "GET /api/2.0/mlflow/artifacts/list?run_id=0369c190&path=";
    assert_eq!(asked, format!("{list}{}", folder.replace('/', "%2F")));
    found
}

#[tokio::test]
async fn a_failure_is_nothing_found_only_where_the_file_is_not_listed() {
    for (answer, path) in [(EMPTY, "a/x/b.md"), (EMPTY, "b.md"), (LISTED, "a/none.md")] {
        let absent = found(vec![(500, FAILED), (200, answer)], path).await;
        assert_eq!(absent.unwrap(), None, "{path}");
    }
    for answer in [(200, LISTED), (500, FAILED), (200, "{}"), (200, "<html>")] {
        let failed = found(vec![(500, FAILED), answer], "a/b.md").await;
        assert!(
            matches!(failed, Err(ClientError::Failed { status: 500, .. })),
            "{failed:?}"
        );
    }
}

#[tokio::test]
async fn what_it_does_not_serve_is_read_by_it_and_not_written() {
    let server = Server::answering([(200, "text")]).await;
    let (client, run) = (server.client(), run("s3://bucket/2/0369c190"));
    assert_eq!(
        client.get_artifact(&run, "a/b.md").await.unwrap().unwrap(),
        "text"
    );
    let put = client
        .put_artifact(&run, "a/b.md", "x".into(), "text/markdown")
        .await;
    assert!(matches!(put, Err(ClientError::ArtifactsElsewhere { .. })));
    let lines: Vec<_> = server.calls().into_iter().map(|sent| sent.line).collect();
    assert_eq!(lines, ["GET /get-artifact?run_uuid=0369c190&path=a%2Fb.md"]);
}

/// What a cloud is sent for a file, by a user with a token: each request's line, length and body.
async fn written_to(store: CloudStore, content: &'static str) -> Vec<(String, String, String)> {
    let server = Server::answering([(201, ""); 3]).await;
    let client = server.client().of_user(&"planted-token".into()).unwrap();
    let signed = SignedUrl {
        signed_uri: client.server().base_url.join("/c/b.md?sig=a%2Fb").unwrap(),
        headers: vec![("x-amz-meta".to_owned(), "as-asked".to_owned())],
        store,
    };
    client.write_signed(signed, &content.into()).await.unwrap();
    let told = |sent: Sent| {
        let header = |name| sent.headers.lines().find_map(|line| line.strip_prefix(name));
        assert!(!sent.headers.contains("planted-token"), "{}", sent.headers);
        assert_eq!(header("x-amz-meta: "), Some("as-asked"));
        assert_eq!(
            header("x-ms-blob-type: "),
            (store == CloudStore::AzureBlob).then_some("BlockBlob")
        );
        let length = header("content-length: ").unwrap_or("not said").to_owned();
        (sent.line, length, sent.text)
    };
    server.calls().into_iter().map(told).collect()
}

#[tokio::test]
async fn each_cloud_is_written_to_in_its_own_way_and_never_with_our_token() {
    let sent = |line: &str, length: &str, text: &str| {
        let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
        let line = format!("{method} /c/b.md?sig=a%2Fb{rest}");
        (line, length.to_owned(), text.to_owned())
    };
    for store in [CloudStore::Plain, CloudStore::AzureBlob] {
        assert_eq!(written_to(store, "text").await, [sent("PUT", "4", "text")]);
        assert_eq!(written_to(store, "").await, [sent("PUT", "0", "")]);
    }
    let create = sent("PUT &resource=file", "0", "");
    assert_eq!(
        written_to(CloudStore::AzureDataLake, "text").await,
        [
            create.clone(),
            sent("PATCH &action=append&position=0", "4", "text"),
            sent("PATCH &action=flush&position=4", "0", ""),
        ]
    );
    assert_eq!(
        written_to(CloudStore::AzureDataLake, "").await,
        [create, sent("PATCH &action=flush&position=0", "0", "")]
    );
}

#[tokio::test]
async fn a_location_never_leads_out_of_what_is_served() {
    for location in [
        "mlflow-artifacts:/../../mlflow/x",
        "mlflow-artifacts:/%2e%2e/%2E./mlflow/x",
        "mlflow-artifacts:/..\\..\\mlflow/x",
        "mlflow-artifacts:/.\t./.\n./mlflow/x",
    ] {
        let server = Server::answering([(200, "text")]).await;
        let (client, run) = (server.client(), run(location));
        client.get_artifact(&run, "a/b.md").await.unwrap();
        let put = client
            .put_artifact(&run, "a/b.md", "x".into(), "text/markdown")
            .await;
        assert!(
            matches!(put, Err(ClientError::ArtifactsElsewhere { .. })),
            "{location:?}"
        );
        let lines: Vec<_> = server.calls().into_iter().map(|sent| sent.line).collect();
        let read = "GET /get-artifact?run_uuid=0369c190&path=a%2Fb.md";
        assert_eq!(lines, [read], "{location:?}");
    }
}

#[tokio::test]
async fn a_location_is_sent_as_it_is_written_in_a_url() {
    let server = Server::answering([(200, "text")]).await;
    let run = run("mlflow-artifacts:/my team/ü?x#y/r1");
    server.client().get_artifact(&run, "a/b.md").await.unwrap();
    let path = "/api/2.0/mlflow-artifacts/artifacts/my%20team/%C3%BC%3Fx%23y/r1/a/b.md";
    assert_eq!(server.calls()[0].line, format!("GET {path}"));
}
