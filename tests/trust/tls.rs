//! Nobody between us and MLflow reads or writes what is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{TraceServer, Upstream};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A TLS end before a real MLflow, with a certificate that nobody vouches for but the file that it is written to.
struct Tls {
    url: String,
    certificate: String,
    /// Conversations that came about.
    spoken: Arc<AtomicUsize>,
}

impl Tls {
    async fn before(upstream: &Upstream) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let own =
            rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        let (acceptor, spoken) = (TlsAcceptor::from(Arc::new(config)), Arc::<AtomicUsize>::default());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (to, count) = (
            upstream.url.trim_start_matches("http://").to_owned(),
            Arc::clone(&spoken),
        );
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, to, count) = (acceptor.clone(), to.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    let Ok(mut tls) = acceptor.accept(socket).await else {
                        return;
                    };
                    count.fetch_add(1, Ordering::SeqCst);
                    let mut plain = TcpStream::connect(to).await.unwrap();
                    let _ = copy_bidirectional(&mut tls, &mut plain).await;
                });
            }
        });
        Self {
            url: format!("https://localhost:{port}"),
            certificate: own.cert.pem(),
            spoken,
        }
    }
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_told_nothing() {
    let upstream = Upstream::v3();
    let tls = Tls::before(&upstream).await;
    let path = format!("/api/mlflow/runs/{}", upstream.seed.run_id);
    let server = TraceServer::with(&[("MLFLOW_TRACKING_URI", tls.url.as_str())]).await;
    let answer = server.get(&path).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(tls.spoken.load(Ordering::SeqCst), 0, "the token was not sent");
    // One whose certificate the system trusts is spoken to.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, &tls.certificate).unwrap();
    let settings = [
        ("MLFLOW_TRACKING_URI", tls.url.as_str()),
        ("SSL_CERT_FILE", file.to_str().unwrap()),
    ];
    let trusting = TraceServer::with(&settings).await;
    assert_eq!(
        trusting.json(&path).await["run"]["info"]["run_id"],
        upstream.seed.run_id.as_str()
    );
    assert!(tls.spoken.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn a_collector_by_grpc_is_spoken_to_where_the_system_vouches_for_it() {
    let upstream = Upstream::v3();
    let tls = Tls::before(&upstream).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, &tls.certificate).unwrap();
    let server = TraceServer::with(&[
        ("MLFLOW_TRACKING_URI", upstream.url.as_str()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", tls.url.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("SSL_CERT_FILE", file.to_str().unwrap()),
    ])
    .await;
    server.json("/api/user/me").await;
    for _ in 0..500 {
        if tls.spoken.load(Ordering::SeqCst) > 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("no conversation came about");
}
