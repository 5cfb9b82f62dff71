//! The bundle for Databricks Apps, run as the platform runs it: see section 4.5 of what is known of it. The workspace is the
//! tests' stand-in.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command as Ran;
use std::time::Duration;

use harness::{CLIENT_ID, CLIENT_SECRET, Fault, Gate, Proxy, TraceServer, Upstream, Workspace, binary};
use serde_norway::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    ANN, DEV, Place, a_session_is_made, file, is_root, it_is_analysed, it_is_labeled, static_binary,
};

/// The largest file that the platform takes, in bytes.
const LARGEST: u64 = 10_000_000;

/// A bundle of this binary with a frontend of two files; readable by all, as it is there.
fn bundle(binary: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let frontend = folder.path().join("built");
    std::fs::create_dir(&frontend).unwrap();
    std::fs::write(frontend.join("index.html"), "<title>review</title>").unwrap();
    let made = Ran::new(file("deploy/databricks/bundle.sh"))
        .args([binary, &folder.path().join("bundle"), &frontend])
        .env("DEVELOPERS", DEV)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    folder
}

fn yaml(path: &Path) -> Value {
    serde_norway::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The app's command and environment, as app.yaml has them; a resource is its experiment.
fn app(bundle: &Path, experiment: &str) -> Command {
    let app = yaml(&bundle.join("app/app.yaml"));
    let words: Vec<_> = app["command"]
        .as_sequence()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    // Not root, there as here.
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", words[0]]);
        command
    } else {
        Command::new(words[0])
    };
    command
        .args(&words[1..])
        .current_dir(bundle.join("app"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    for variable in app["env"].as_sequence().unwrap() {
        let name = variable["name"].as_str().unwrap();
        match variable.get("valueFrom") {
            Some(resource) => {
                let known = yaml(&bundle.join("databricks.yml"));
                let resources = &known["resources"]["apps"]["trace_server"]["resources"];
                assert_eq!(&resources[0]["name"], resource);
                command.env(name, experiment)
            }
            None => command.env(name, variable["value"].as_str().unwrap()),
        };
    }
    command
}

#[test]
fn the_platform_takes_every_file_and_finds_the_app() {
    let binary = static_binary().unwrap_or_else(binary);
    let folder = bundle(&binary);
    let bundle = folder.path().join("bundle");
    let known = yaml(&bundle.join("databricks.yml"));
    let app = &known["resources"]["apps"]["trace_server"];
    let source = bundle.join(app["source_code_path"].as_str().unwrap());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&source).unwrap() {
        let entry = entry.unwrap();
        assert!(entry.metadata().unwrap().len() <= LARGEST, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    for name in [
        "app.yaml",
        "start.sh",
        "trace-server.gz.aa",
        "trace-server.sha256",
        "frontend",
    ] {
        assert!(names.iter().any(|there| there == name), "{names:?}");
    }
    // One that was changed, or of which a part is missing, is not run.
    std::fs::write(source.join("trace-server.gz.zz"), "more").unwrap();
    let refused = Ran::new("sh").arg(source.join("start.sh")).output().unwrap();
    assert!(!refused.status.success());
}

#[test]
fn what_the_platform_would_refuse_is_refused_before() {
    let folder = tempfile::tempdir().unwrap();
    let frontend = folder.path().join("built");
    std::fs::create_dir(&frontend).unwrap();
    let bundled = |developers: &str| {
        let made = Ran::new(file("deploy/databricks/bundle.sh"))
            .args([Path::new("/bin/sh"), &folder.path().join("bundle"), &frontend])
            .env("DEVELOPERS", developers)
            .output()
            .unwrap();
        (made.status.success(), String::from_utf8(made.stderr).unwrap())
    };
    let nothing = Ran::new(file("deploy/databricks/bundle.sh"))
        .args([Path::new(""), &folder.path().join("bundle")])
        .output()
        .unwrap();
    assert!(!nothing.status.success(), "there is no binary");
    let (is_made, why) = bundled("");
    assert!(!is_made && why.contains("no index.html"), "{why}");
    std::fs::write(frontend.join("index.html"), "").unwrap();
    let (is_made, why) = bundled("a@example.com\"\n  - name: X");
    assert!(!is_made && why.contains("DEVELOPERS"), "{why}");
    let large = std::fs::File::create(frontend.join("large.js")).unwrap();
    large.set_len(LARGEST + 1).unwrap();
    let (is_made, why) = bundled("");
    assert!(!is_made && why.contains("large.js"), "{why}");
    large.set_len(LARGEST).unwrap();
    assert_eq!(bundled("ann@example.com,bob@example.com"), (true, String::new()));
}

#[tokio::test]
async fn the_app_is_used_and_stopped_as_there() {
    let binary = static_binary().unwrap_or_else(binary);
    let folder = bundle(&binary);
    let upstream = Upstream::v3();
    let place = Place::at(&upstream).await;
    let workspace = Workspace::over(&upstream.url).await;
    let proxy = Proxy::before(&workspace.url).await;
    // The platform says which port; a free one here.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut command = app(&folder.path().join("bundle"), &place.experiment);
    command.envs([
        ("DATABRICKS_APP_NAME", "trace-server"),
        ("DATABRICKS_APP_PORT", &port.to_string()),
        ("DATABRICKS_WORKSPACE_ID", "1234567890"),
        ("DATABRICKS_HOST", &proxy.url),
        ("DATABRICKS_CLIENT_ID", CLIENT_ID),
        ("DATABRICKS_CLIENT_SECRET", CLIENT_SECRET),
        // There its proxy alone reaches it.
        ("TRACE_SERVER_HOST", "127.0.0.1"),
    ]);
    let server = TraceServer::by(command).await;
    assert!(server.url.ends_with(&format!(":{port}")), "{}", server.url);

    let page = server.get("/").send().await.unwrap();
    assert!(page.text().await.unwrap().contains("<title>review</title>"));
    let (dev, ann) = (server.as_user(DEV), server.as_user(ANN));
    assert_eq!(ann.get_json("/api/manifest").await["user"]["role"], "sme");
    let id = a_session_is_made(dev, &place.traces).await;
    it_is_labeled(ann, &id).await;
    it_is_analysed(dev, &id).await;
    assert_eq!(
        workspace.tokens_given(),
        1,
        "the app asks with its own credentials"
    );

    // It is told to stop while MLflow keeps a request waiting: the platform kills it after 15 s.
    let gate = Gate::default();
    let held = gate.clone();
    proxy.rule(move |_| Fault::Held(held.clone()));
    let search = ann.post(
        "/api/mlflow/search-traces",
        &serde_json::json!({"max_results": 7}),
    );
    let waiting = tokio::spawn(search.send());
    proxy
        .until("it waits for the workspace", |proxy| proxy.count("traces") > 0)
        .await;
    server.terminate();
    let (status, log) = tokio::time::timeout(Duration::from_secs(15), server.ended())
        .await
        .unwrap();
    assert!(status.success(), "{log:?}");
    drop(waiting);
    gate.open();
}
