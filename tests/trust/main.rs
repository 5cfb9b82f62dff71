//! What goes wrong around the server, done to it for real: MLflow that is down, slow or silent, more work than it can do,
//! readers that do not read, users who are not who they say, pages of other sites, and secrets that must not get out.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test's way to fail"
)]

mod browsers;
mod overload;
mod tls;
mod upstream;
mod users;

/// A header of an answer, as text.
fn header(answer: &reqwest::Response, name: &str) -> String {
    let value = answer.headers().get(name).map(|value| value.to_str().unwrap());
    value.unwrap_or_default().to_owned()
}

/// Asks until the answer is as it shall be, or fails the test.
async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    for _ in 0..600 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("in 30 s it never came about that {what}");
}
