//! What a crash leaves, and what a repeat makes of it.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use harness::{Fault, Gate, TraceServer};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::place::{DEV, Kept, Place};

on_each! {
    a_crash_amid_linking_is_mended_by_doing_it_again on Sqlite, Postgres;
    five_hundred_traces_are_linked_once_however_often_it_crashes on Sqlite, Postgres;
    what_was_answered_under_load_survives_a_kill on Sqlite, Postgres;
    whoever_asked_before_the_end_is_answered on Sqlite, Postgres;
}

/// The server anew, on the same MLflow and the same database.
async fn restarted(place: &Place, database: &str) -> TraceServer {
    restarted_on(&place.upstream.url, place, database).await
}

async fn restarted_on(mlflow: &str, place: &Place, database: &str) -> TraceServer {
    let settings = [
        ("MLFLOW_TRACKING_URI", mlflow),
        ("MLFLOW_EXPERIMENT_ID", place.experiment.as_str()),
        ("TRACE_SERVER_TRUST_PROXY", "true"),
        ("DEVELOPERS", DEV),
        ("DATABASE_URL", database),
    ];
    TraceServer::with(&settings).await
}

async fn a_crash_amid_linking_is_mended_by_doing_it_again(kept: Kept) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}/reviews.db", folder.path().display());
    let mut place = Place::new(kept).await;
    let database = place
        .database
        .as_ref()
        .map_or(sqlite, |database| database.url().to_owned());
    let mut server = restarted(&place, &database).await;
    std::mem::swap(&mut place.server, &mut server);
    let traces = place.traces(250).await;
    let (session, run) = place.session(&["ann@example.com"], &[]).await;
    // A second server on the same database, whose second page of links is held while it is killed.
    let gate = Gate::default();
    let held = gate.clone();
    let mut doomed = restarted_on(&place.proxy.url, &place, &database).await;
    let pages = AtomicUsize::new(0);
    place.proxy.rule(move |call| {
        let is_second = call.path.contains("link-to-run") && pages.fetch_add(1, Ordering::SeqCst) == 1;
        if is_second {
            Fault::Held(held.clone())
        } else {
            Fault::None
        }
    });
    let links = json!({"mlflow_run_id": run, "trace_ids": traces});
    let path = format!("/api/labeling-sessions/{session}/link-traces");
    {
        let mut request = std::pin::pin!(doomed.as_user(DEV).post(&path, &links).send());
        let under_way = place
            .proxy
            .until("the second page of links is under way", |proxy| {
                proxy.count("link-to-run") == 2
            });
        tokio::select! {
            _ = &mut request => panic!("it is held"),
            () = under_way => {}
        }
    }
    doomed.kill().await;
    gate.open();
    assert_eq!(
        place.items(&session).await.len(),
        0,
        "no item was made before all links were"
    );
    let dev = place.server.as_user(DEV);
    assert_eq!(dev.post_json(&path, &links).await["items_created"], 250);
    assert_eq!(dev.post_json(&path, &links).await["items_created"], 0);
    assert_eq!(place.items(&session).await.len(), 250);
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}/reviews.db", folder.path().display());
    let mut place = Place::new(Kept::Sqlite).await;
    place.server = restarted(&place, &database).await;
    let traces = place.traces(20).await;
    let (session, _) = place.session(&["ann@example.com"], &traces).await;
    let items = place.items(&session).await;
    let path = format!("/api/labeling-sessions/{session}/items");
    let mut done = Vec::new();
    let ann = place.server.as_user("ann@example.com");
    for item in &items {
        let id = item["item_id"].as_str().unwrap();
        done.push(
            ann.patch_json(
                &format!("{path}/{id}"),
                &json!({"state": "COMPLETED", "comment": "c"}),
            )
            .await,
        );
    }
    place.server.kill().await;
    place.server = restarted(&place, &database).await;
    let without_previews = |items: Vec<Value>| -> Vec<Value> {
        let strip = |mut item: Value| {
            item["request_preview"] = Value::Null;
            item["response_preview"] = Value::Null;
            item
        };
        items.into_iter().map(strip).collect()
    };
    assert_eq!(
        without_previews(place.items(&session).await),
        without_previews(done)
    );
}

#[tokio::test]
async fn many_servers_may_start_on_one_new_database_at_once() {
    for kept in [Kept::Sqlite, Kept::Postgres] {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = format!("sqlite://{}/reviews.db", folder.path().display());
        let place = Place::new(kept).await;
        let fresh = harness::Postgres::database().await;
        let database = match kept {
            Kept::Postgres => fresh.url().to_owned(),
            _ => sqlite,
        };
        let servers = futures::future::join_all((0..6).map(|_| restarted(&place, &database))).await;
        let schema = json!({"name": "tone", "type": "FEEDBACK", "title": "t", "text": {}});
        servers[0]
            .as_user(DEV)
            .post_json("/api/label-schemas", &schema)
            .await;
        for server in &servers {
            let listed = server.as_user(DEV).get_json("/api/label-schemas").await;
            assert_eq!(
                listed.as_array().unwrap().len(),
                1,
                "{kept:?}: all see one database"
            );
        }
    }
}

#[tokio::test]
async fn a_write_under_way_is_done_before_the_process_ends() {
    let place = Place::new(Kept::Sqlite).await;
    let traces = place.traces(1).await;
    let gate = Gate::default();
    let held = gate.clone();
    place.proxy.rule(move |call| {
        let is_label = call.path.ends_with("/assessments");
        if is_label {
            Fault::Held(held.clone())
        } else {
            Fault::None
        }
    });
    let path = format!("/api/traces/{}/feedback", traces[0]);
    let body = json!({"assessment": {"name": "tone", "value": "good"}});
    {
        let dev = place.server.as_user(DEV);
        let mut request = std::pin::pin!(dev.post(&path, &body).send());
        let under_way = place
            .proxy
            .until("the label is under way", |proxy| proxy.count("/assessments") == 1);
        tokio::select! {
            _ = &mut request => unreachable!("it is held"),
            () = under_way => {}
        }
        // The one who asked hangs up: no connection holds the process back.
    }
    place.server.terminate();
    let ended = tokio::spawn(place.server.ended());
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!ended.is_finished(), "it waits for the write");
    gate.open();
    let (status, log) = ended.await.unwrap();
    assert!(
        status.success() && !log.join("\n").contains("broken off"),
        "{log:?}"
    );
    let trace = format!("{}/api/3.0/mlflow/traces/{}", place.upstream.url, traces[0]);
    let (_, trace) = harness::answer(harness::http_client().get(trace)).await;
    assert_eq!(
        trace["trace"]["trace_info"]["assessments"][0]["assessment_name"],
        "tone"
    );
}

/// The database of a place, which outlives its servers.
fn database_of(place: &Place, folder: &tempfile::TempDir) -> String {
    let sqlite = format!("sqlite://{}/reviews.db", folder.path().display());
    let own = place.database.as_ref().map(|database| database.url().to_owned());
    own.unwrap_or(sqlite)
}

async fn five_hundred_traces_are_linked_once_however_often_it_crashes(kept: Kept) {
    let folder = tempfile::tempdir().unwrap();
    let mut place = Place::new(kept).await;
    let database = database_of(&place, &folder);
    place.server = restarted_on(&place.proxy.url, &place, &database).await;
    let traces = place.traces(500).await;
    let (session, run) = place.session(&["ann@example.com"], &[]).await;
    let links = json!({"mlflow_run_id": run, "trace_ids": traces});
    let path = format!("/api/labeling-sessions/{session}/link-traces");
    let items = format!("/api/labeling-sessions/{session}/items?page_size=1000");
    // Killed while each of the five pages of links is under way; at last when all are made, and the items perhaps.
    for page in 1..=6 {
        let gate = Gate::default();
        let held = gate.clone();
        let before = place.proxy.count("link-to-run");
        let passed = AtomicUsize::new(0);
        place.proxy.rule(move |call| {
            let is_link = call.path.contains("link-to-run");
            if is_link && passed.fetch_add(1, Ordering::SeqCst) + 1 == page {
                Fault::Held(held.clone())
            } else {
                Fault::None
            }
        });
        {
            let dev = place.server.as_user(DEV);
            let mut request = std::pin::pin!(dev.post(&path, &links).send());
            let under_way = place.proxy.until("the page of links is under way", |proxy| {
                proxy.count("link-to-run") == before + page.min(5)
                    && (page < 6 || proxy.open_answers("link") == 0)
            });
            tokio::select! {
                answer = &mut request => assert!(page == 6 && answer.unwrap().status().is_success()),
                () = under_way => {}
            }
        }
        place.server.kill().await;
        gate.open();
        place.server = restarted_on(&place.proxy.url, &place, &database).await;
        let made = place.server.as_user(DEV).get_json(&items).await;
        let made = made["items"].as_array().unwrap().len();
        assert!(
            made == 0 || (page == 6 && made == 500),
            "all items or none: {made} after page {page}"
        );
    }
    place.proxy.rule(|_| Fault::None);
    let dev = place.server.as_user(DEV);
    assert_eq!(dev.post_json(&path, &links).await["linked_traces"], 500);
    assert_eq!(dev.post_json(&path, &links).await["items_created"], 0);
    let made = dev.get_json(&items).await;
    let of_trace = |item: &Value| item["source"]["trace_id"].as_str().unwrap().to_owned();
    let made: Vec<_> = made["items"].as_array().unwrap().iter().map(of_trace).collect();
    assert_eq!(made, traces, "each once, in their order");
    let page = json!({"run_id": run, "max_results": 1000});
    let found = dev
        .post_json("/api/mlflow/search-traces?include_spans=false", &page)
        .await;
    assert_eq!(
        found["traces"].as_array().unwrap().len(),
        500,
        "and MLflow has each link once"
    );
}

/// Many who write to one server, each one thing after the other, until it is gone.
struct Load {
    url: String,
    /// How many writes were answered well.
    done: watch::Sender<usize>,
}

/// What became of one who asked again and again: what was answered well, and what was neither answered nor refused.
#[derive(Debug, Default)]
struct Account {
    done: Vec<usize>,
    lost: Vec<String>,
    tried: usize,
}

impl Load {
    fn on(server: &TraceServer) -> Self {
        Self {
            url: server.url.clone(),
            done: watch::channel(0).0,
        }
    }

    async fn until(&self, writes: usize) {
        self.done
            .subscribe()
            .wait_for(|done| *done >= writes)
            .await
            .unwrap();
    }

    /// One request after the other by this client, as this says, until nobody listens any more. What comes after the end
    /// has begun may be refused with 503; nothing may be left without an answer, unless the server was killed.
    async fn keep_asking(
        &self,
        client: Client,
        counts: bool,
        request: impl Fn(&Client, &str, usize) -> RequestBuilder,
    ) -> Account {
        let mut account = Account::default();
        loop {
            let nth = account.tried;
            account.tried += 1;
            let asked = request(&client, &self.url, nth).header("x-forwarded-email", DEV);
            let answered = async {
                let answer = asked.send().await?;
                let status = answer.status();
                Ok::<_, reqwest::Error>((status, answer.text().await?))
            };
            match answered.await {
                Ok((status, _)) if status.is_success() => {
                    account.done.push(nth);
                    self.done.send_modify(|done| *done += usize::from(counts));
                }
                Ok((status, _)) if status == 503 => {}
                Ok((status, text)) => account.lost.push(format!("{status}: {text}")),
                Err(error) if error.is_connect() => return account,
                Err(error) => {
                    account.lost.push(format!("{error:?}"));
                    if account.lost.len() > 3 {
                        return account;
                    }
                }
            }
        }
    }
}

/// A client that takes a new connection for each request.
fn fresh() -> Client {
    drop(harness::http_client());
    Client::builder()
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
        .unwrap()
}

fn schema_name(writer: usize, nth: usize) -> String {
    format!("schema_{writer}_{nth}")
}

fn new_schema(client: &Client, url: &str, name: &str) -> RequestBuilder {
    let schema = json!({"name": name, "type": "FEEDBACK", "title": name, "text": {}});
    client.post(format!("{url}/api/label-schemas")).json(&schema)
}

/// A server on a database that outlives it, which it names, with a session of four traces. The folder may hold the database.
async fn outlived(kept: Kept) -> (tempfile::TempDir, Place, String, Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut place = Place::new(kept).await;
    let database = database_of(&place, &folder);
    place.server = restarted(&place, &database).await;
    let traces = place.traces(4).await;
    let (session, _) = place.session(&["ann@example.com"], &traces).await;
    (folder, place, database, traces, session)
}

async fn whoever_asked_before_the_end_is_answered(kept: Kept) {
    let (_folder, mut place, database, traces, session) = outlived(kept).await;
    let load = Load::on(&place.server);
    let client = |nth: usize| {
        if nth.is_multiple_of(2) {
            harness::http_client()
        } else {
            fresh()
        }
    };
    let readers = (0..12).map(|nth| {
        let paths = [
            format!("/api/traces/{}", traces[nth % 4]),
            format!("/api/labeling-sessions/{session}/items"),
            "/api/label-schemas".to_owned(),
        ];
        load.keep_asking(client(nth), false, move |client, url, nth| {
            client.get(format!("{url}{}", paths[nth % 3]))
        })
    });
    let labels = (0..4).map(|writer: usize| {
        let path = format!("/api/traces/{}/feedback", traces[writer]);
        load.keep_asking(client(writer), true, move |client, url, nth| {
            let label = json!({"assessment": {"name": format!("label_{nth}"), "value": nth}});
            client.post(format!("{url}{path}")).json(&label)
        })
    });
    let schemas = (0..4).map(|writer: usize| {
        load.keep_asking(client(writer), true, move |client, url, nth| {
            new_schema(client, url, &schema_name(writer, nth))
        })
    });
    let stopped = async {
        load.until(40).await;
        place.server.terminate();
    };
    let (readers, labels, schemas, ()) =
        futures::join!(join_all(readers), join_all(labels), join_all(schemas), stopped);
    let all = readers.iter().chain(&labels).chain(&schemas);
    let lost: Vec<_> = all.flat_map(|account| &account.lost).collect();
    assert!(lost.is_empty(), "{lost:#?}");
    let next = restarted(&place, &database).await;
    let (status, log) = std::mem::replace(&mut place.server, next).ended().await;
    assert!(
        status.success() && !log.join("\n").contains("broken off"),
        "{log:?}"
    );
    for (trace, account) in traces.iter().zip(&labels) {
        let url = format!("{}/api/3.0/mlflow/traces/{trace}", place.upstream.url);
        let (_, answer) = harness::answer(harness::http_client().get(url)).await;
        let given = &answer["trace"]["trace_info"]["assessments"];
        for nth in &account.done {
            let name = format!("label_{nth}");
            let is_it = |label: &&Value| label["assessment_name"] == *name;
            let given = given.as_array().unwrap().iter().filter(is_it).count();
            assert_eq!(given, 1, "{name} of {trace}");
        }
    }
    are_there(&place.server, &schemas).await;
}

/// Every schema whose making was answered well.
async fn are_there(server: &TraceServer, writers: &[Account]) {
    let kept = server.as_user(DEV).get_json("/api/label-schemas").await;
    let kept: Vec<_> = kept
        .as_array()
        .unwrap()
        .iter()
        .map(|schema| schema["name"].clone())
        .collect();
    for (writer, account) in writers.iter().enumerate() {
        for nth in &account.done {
            let name = schema_name(writer, *nth);
            assert!(kept.contains(&json!(name)), "{name} is lost: {kept:?}");
        }
    }
}

async fn what_was_answered_under_load_survives_a_kill(kept: Kept) {
    let (_folder, mut place, database, _, session) = outlived(kept).await;
    let items = place.items(&session).await;
    let mut written: Vec<Account> = (0..4).map(|_| Account::default()).collect();
    for round in 0..4 {
        let load = Load::on(&place.server);
        let schemas = (0..4).map(|writer: usize| {
            load.keep_asking(fresh(), true, move |client, url, nth| {
                new_schema(client, url, &schema_name(writer, 1000 * round + nth))
            })
        });
        let comments = items.iter().map(|item| {
            let id = item["item_id"].as_str().unwrap();
            let path = format!("/api/labeling-sessions/{session}/items/{id}?update_mask=comment");
            load.keep_asking(fresh(), true, move |client, url, nth| {
                let comment = json!({"comment": (1000 * round + nth).to_string()});
                client
                    .request(Method::PATCH, format!("{url}{path}"))
                    .json(&comment)
            })
        });
        let killed = async {
            load.until(30).await;
            place.server.kill().await;
        };
        let (schemas, comments, ()) = futures::join!(join_all(schemas), join_all(comments), killed);
        for (all, new) in written.iter_mut().zip(&schemas) {
            all.done.extend(new.done.iter().map(|nth| 1000 * round + nth));
        }
        if kept == Kept::Sqlite {
            is_sound(&database).await;
        }
        place.server = restarted(&place, &database).await;
        are_there(&place.server, &written).await;
        for (item, account) in place.items(&session).await.iter().zip(&comments) {
            let Some(known) = account.done.last() else {
                continue;
            };
            let comment: usize = item["comment"].as_str().unwrap().parse().unwrap();
            let tried = 1000 * round..1000 * round + account.tried;
            let nth = comment - tried.start;
            assert!(
                tried.contains(&comment) && nth >= *known,
                "{comment}, answered {known}"
            );
        }
    }
}

/// What SQLite itself says of a file.
async fn is_sound(database: &str) {
    use sqlx::Connection;
    let mut connection = sqlx::SqliteConnection::connect(database).await.unwrap();
    let said: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(said, ["ok"]);
    let broken = sqlx::query("PRAGMA foreign_key_check")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(broken.len(), 0);
    connection.close().await.unwrap();
}
