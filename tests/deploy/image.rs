//! The image of the Dockerfile: what it says, and what it starts, in a root folder that holds nothing else.

use std::path::Path;
use std::process::Command as Ran;

use harness::{TraceServer, Upstream};
use parse_dockerfile::{Command, Instruction};
use tempfile::TempDir;

use crate::{ANN, DEV, Place, a_session_is_made, file, is_root, it_is_labeled, static_binary};

/// The last stage of the Dockerfile.
#[derive(Debug, Default)]
struct Image {
    base: String,
    environment: Vec<(String, String)>,
    user: String,
    entrypoint: Vec<String>,
    health: Vec<String>,
    /// Bases of stages before it.
    built_on: Vec<String>,
}

fn image() -> Image {
    let text = std::fs::read_to_string(file("Dockerfile")).unwrap();
    let parsed = parse_dockerfile::parse(&text).unwrap();
    let mut image = Image::default();
    for instruction in &parsed.instructions {
        match instruction {
            Instruction::From(from) => {
                image.built_on.push(image.base.clone());
                image = Image {
                    base: from.image.value.to_string(),
                    built_on: image.built_on,
                    ..Image::default()
                };
            }
            Instruction::Env(env) => {
                // `NAME=value NAME=value`, none of them quoted.
                let pairs = env
                    .arguments
                    .value
                    .split_whitespace()
                    .filter(|word| *word != "\\");
                let pair = |pair: &str| {
                    let (name, value) = pair.split_once('=').unwrap();
                    (name.to_owned(), value.to_owned())
                };
                image.environment.extend(pairs.map(pair));
            }
            Instruction::User(user) => image.user = user.arguments.value.to_string(),
            Instruction::Entrypoint(entrypoint) => image.entrypoint = words(&entrypoint.arguments),
            Instruction::Healthcheck(health) => {
                if let parse_dockerfile::HealthcheckArguments::Cmd { arguments, .. } = &health.arguments {
                    image.health = words(arguments);
                }
            }
            Instruction::Add(_) => panic!("COPY says what is meant"),
            _ => {}
        }
    }
    image.built_on.retain(|base| !base.is_empty());
    image
}

/// Of a command that no shell reads.
fn words(command: &Command<'_>) -> Vec<String> {
    match command {
        Command::Exec(words) => words.value.iter().map(|word| word.value.to_string()).collect(),
        other => panic!("{other:?} wants a shell, and there is none"),
    }
}

#[test]
fn it_is_small_pinned_and_nobodys() {
    let image = image();
    for base in image.built_on.iter().chain([&image.base]) {
        let (_, tag) = base.rsplit_once(':').expect("a base has a tag");
        assert_ne!(tag, "latest");
    }
    let (uid, _) = image.user.split_once(':').unwrap();
    assert_ne!(uid, "0");
    assert!(
        uid.parse::<u32>().is_ok(),
        "Kubernetes tells a number that it is not root"
    );
    assert!(!image.entrypoint.is_empty() && !image.health.is_empty());
    if let Some(binary) = static_binary() {
        // The base is 2 MB.
        let size = binary.metadata().unwrap().len();
        assert!(size < 36_000_000, "{size} bytes");
    }
}

/// The certificates of the base image: where it has them, and the machine that tests.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A folder with the binary where the image has it and certificates where its base has them, and nothing else.
fn root(image: &Image, binary: &Path) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let inside = |path: &str| root.path().join(path.trim_start_matches('/'));
    let at = inside(&image.entrypoint[0]);
    std::fs::create_dir_all(at.parent().unwrap()).unwrap();
    std::fs::copy(binary, at).unwrap();
    let certificates = inside(CERTIFICATES);
    std::fs::create_dir_all(certificates.parent().unwrap()).unwrap();
    std::fs::copy(CERTIFICATES, certificates).unwrap();
    for folder in ["data", "tmp"] {
        std::fs::create_dir(inside(folder)).unwrap();
    }
    let run = |program: &str, args: &[&str]| {
        let done = Ran::new(program).args(args).arg(root.path()).status().unwrap();
        assert!(done.success());
    };
    run("chmod", &["755"]);
    run("chown", &["-R", &image.user]);
    root
}

/// This command of the image, with its user, its environment and these settings besides.
fn inside(
    root: &TempDir,
    image: &Image,
    words: &[String],
    settings: &[(&str, &str)],
) -> tokio::process::Command {
    let mut command = tokio::process::Command::new("/usr/sbin/chroot");
    command
        .arg(format!("--userspec={}", image.user))
        .arg(root.path())
        .args(words)
        .env_clear()
        .envs(image.environment.iter().cloned())
        .envs(settings.iter().copied());
    command
}

#[tokio::test]
async fn what_it_starts_needs_nothing_beside_it() {
    let (Some(binary), true) = (static_binary(), is_root()) else {
        eprintln!(
            "not tried: it wants a static binary (deploy/static.sh) and root, to change the root folder"
        );
        return;
    };
    let (image, upstream) = (image(), Upstream::v3());
    let place = Place::at(&upstream).await;
    let root = root(&image, &binary);
    // As the image has it but for the address: a test listens on loopback, on a free port.
    let settings = [
        ("MLFLOW_TRACKING_URI", upstream.url.as_str()),
        ("MLFLOW_EXPERIMENT_ID", &place.experiment),
        ("TRACE_SERVER_HOST", "127.0.0.1"),
        ("PORT", "0"),
        ("TRACE_SERVER_TRUST_PROXY", "true"),
        ("DEVELOPERS", DEV),
    ];
    let server = TraceServer::by(inside(&root, &image, &image.entrypoint, &settings)).await;
    let id = a_session_is_made(server.as_user(DEV), &place.traces).await;
    it_is_labeled(server.as_user(ANN), &id).await;
    assert!(
        root.path().join("data/trace-server.db").is_file(),
        "reviews are in the volume"
    );

    let port = server.url.rsplit_once(':').unwrap().1.to_owned();
    let health = async || {
        let settings = [("TRACE_SERVER_HOST", "0.0.0.0"), ("PORT", port.as_str())];
        let asked = inside(&root, &image, &image.health, &settings)
            .output()
            .await
            .unwrap();
        (asked.status.success(), String::from_utf8(asked.stderr).unwrap())
    };
    assert_eq!(health().await, (true, String::new()));
    server.log().await;
    let (is_well, why) = health().await;
    assert!(!is_well && why.contains("nothing listens on 127.0.0.1"), "{why}");
}
