//! The store on real databases: every test runs on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test's way to fail")]

mod jobs;

use std::str::FromStr;

use domain::{Item, ItemState, LabelSchema, LabelSchemaRef, LabelingSession, ReviewApp, SessionChange};
use harness::{Database, Postgres};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::{
    Changed, ItemFilter, NewItem, NewReviewApp, NewSession, PageRequest, SessionFilter, Store, StoreConfig,
};
use tempfile::TempDir;

/// A store on a new database, which is kept as long as this is.
struct Opened {
    store: Store,
    config: StoreConfig,
    _folder: Option<TempDir>,
    _database: Option<Database>,
}

async fn opened(on_postgres: bool) -> Opened {
    let (folder, database, url) = if on_postgres {
        let database = Postgres::database().await;
        let url = database.url().to_owned();
        (None, Some(database), url)
    } else {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/r.db", folder.path().display());
        (Some(folder), None, url)
    };
    let config = StoreConfig {
        url: url.into(),
        max_connections: 8,
    };
    Opened {
        store: Store::open(&config).await.unwrap(),
        config,
        _folder: folder,
        _database: database,
    }
}

/// Each of these tests, on either database.
macro_rules! on_both {
    ($($name:ident;)+) => {
        $(mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::$name(crate::opened(false).await).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::$name(crate::opened(true).await).await;
            }
        })+
    };
}
pub(crate) use on_both;

on_both! {
    a_review_app_comes_back_as_it_was_given;
    schemas_that_stay_keep_their_trail;
    a_session_comes_back_as_it_was_given;
    sessions_are_found_by_their_users_in_any_case;
    pages_hold_everything_once;
    items_are_added_once;
    those_who_add_the_same_at_once_neither_fail_nor_double;
    an_item_comes_back_as_it_was_given;
    a_change_to_an_old_version_is_a_conflict;
    what_belongs_to_a_session_goes_with_it;
    assignments_are_all_traces_of_all_sessions_of_a_user;
    texts_are_values_and_never_sql;
    opening_again_changes_nothing;
    an_item_of_another_app_is_not_there;
    a_column_that_a_newer_release_adds_does_no_harm;
}

fn id<T: FromStr<Err = domain::InvalidId>>(text: &str) -> T {
    text.parse().unwrap()
}

fn done<T: std::fmt::Debug>(changed: Changed<T>) -> T {
    let Changed::Done(value) = changed else {
        unreachable!("not done: {changed:?}")
    };
    value
}

fn schema(name: &str, title: &str) -> LabelSchema {
    serde_json::from_value(json!({"name": name, "type": "FEEDBACK", "title": title, "text": {}})).unwrap()
}

async fn app(store: &Store) -> ReviewApp {
    let new = NewReviewApp {
        review_app_id: id("app1"),
        experiment_id: id("1"),
        agents: vec![json!({"agent_name": "größer 👍"})],
        labeling_schemas: vec![schema("b", "first"), schema("a", "second")],
    };
    done(store.create_review_app(&new, "dev").await.unwrap())
}

async fn session(store: &Store, name: &str, users: &[&str]) -> LabelingSession {
    let members = SessionChange {
        name: Some(format!("session {name}")),
        assigned_users: Some(users.iter().map(|&user| user.to_owned()).collect()),
        labeling_schemas: Some(vec![LabelSchemaRef { name: "a".into() }]),
        agent: Some(Some(json!({"agent_name": "x"}))),
        ..SessionChange::default()
    };
    let new = NewSession {
        labeling_session_id: id(name),
        review_app_id: id("app1"),
        mlflow_run_id: id(&format!("run{name}")),
        members,
    };
    done(store.create_session(&new, "dev").await.unwrap())
}

fn new_items(range: std::ops::Range<usize>) -> Vec<NewItem> {
    let item = |nth| NewItem {
        item_id: id(&format!("{:032x}", rand_like(nth))),
        trace_id: id(&format!("tr-{nth:04}")),
    };
    range.map(item).collect()
}

/// Different for each call, in no order.
fn rand_like(nth: usize) -> u128 {
    use std::hash::{BuildHasher, RandomState};
    u128::from(RandomState::new().hash_one(nth)) << 64 | nth as u128
}

fn page(size: u32, token: Option<&str>) -> PageRequest<'_> {
    PageRequest { size, token }
}

async fn items(store: &Store, name: &str) -> Vec<Item> {
    let all = store
        .list_items(&id(name), ItemFilter::default(), page(1000, None))
        .await
        .unwrap();
    all.entries
}

async fn a_review_app_comes_back_as_it_was_given(Opened { store, .. }: Opened) {
    assert_eq!(store.find_review_app(&id("1")).await.unwrap(), None);
    let made = app(&store).await;
    assert_eq!(
        made.labeling_schemas,
        [schema("b", "first"), schema("a", "second")]
    );
    assert_eq!(made.agents, [json!({"agent_name": "größer 👍"})]);
    assert_eq!(store.find_review_app(&id("1")).await.unwrap(), Some(made.clone()));
    assert_eq!(store.get_review_app(&id("app1")).await.unwrap(), Some(made));
    let again = NewReviewApp {
        review_app_id: id("app2"),
        experiment_id: id("1"),
        agents: Vec::new(),
        labeling_schemas: Vec::new(),
    };
    assert_eq!(
        store.create_review_app(&again, "dev").await.unwrap(),
        Changed::Conflict
    );
    assert_eq!(store.get_review_app(&id("app2")).await.unwrap(), None);
}

async fn schemas_that_stay_keep_their_trail(Opened { store, .. }: Opened) {
    let mut made = app(&store).await;
    // The second becomes the first, the first gets another title, a third is new.
    made.labeling_schemas = vec![schema("a", "second"), schema("b", "other"), schema("c", "new")];
    let changed = done(store.update_review_app(&made, "other dev").await.unwrap());
    assert_eq!(changed.labeling_schemas, made.labeling_schemas);
    assert!(
        changed.last_update_time.as_ref().unwrap().unix_ms()
            > made.last_update_time.as_ref().unwrap().unix_ms()
    );
    made.labeling_schemas.clear();
    assert_eq!(
        store.update_review_app(&made, "late").await.unwrap(),
        Changed::Conflict
    );
    let mut now = changed;
    now.labeling_schemas.remove(1);
    let changed = done(store.update_review_app(&now, "dev").await.unwrap());
    assert_eq!(
        changed.labeling_schemas,
        [schema("a", "second"), schema("c", "new")]
    );
    now.review_app_id = id("nothing");
    assert_eq!(
        store.update_review_app(&now, "dev").await.unwrap(),
        Changed::Missing
    );
}

async fn a_session_comes_back_as_it_was_given(Opened { store, .. }: Opened) {
    let nowhere = NewSession {
        labeling_session_id: id("s"),
        review_app_id: id("app1"),
        mlflow_run_id: id("r"),
        members: SessionChange::default(),
    };
    assert_eq!(
        store.create_session(&nowhere, "dev").await.unwrap(),
        Changed::Missing
    );
    app(&store).await;
    let mut made = session(&store, "s1", &["Ann@x", "bob"]).await;
    assert_eq!((made.name.as_str(), made.assigned_users.len()), ("session s1", 2));
    assert_eq!(
        (made.created_by.as_deref(), made.dataset.as_ref()),
        (Some("dev"), None)
    );
    made.agent = None;
    made.additional_configs = Some(json!({"k": [1, null]}));
    made.assigned_users = vec!["cy".into()];
    let changed = done(store.update_session(&id("app1"), &made, "ann").await.unwrap());
    let mut expected = made.clone();
    expected.last_update_time.clone_from(&changed.last_update_time);
    expected.last_updated_by = Some("ann".into());
    assert_eq!(changed, expected);
    assert_eq!(
        store.get_session(&id("app1"), &id("s1")).await.unwrap(),
        Some(changed)
    );
    assert_eq!(
        store.get_session(&id("app2"), &id("s1")).await.unwrap(),
        None,
        "of another app"
    );
    assert_eq!(
        store.update_session(&id("app1"), &made, "late").await.unwrap(),
        Changed::Conflict
    );
}

async fn sessions_are_found_by_their_users_in_any_case(Opened { store, .. }: Opened) {
    app(&store).await;
    session(&store, "s1", &["Ann@X.de", "bob"]).await;
    session(&store, "s2", &["BOB"]).await;
    session(&store, "s3", &[]).await;
    let names = async |filter: SessionFilter| -> Vec<String> {
        let found = store
            .list_sessions(&id("app1"), &filter, page(10, None))
            .await
            .unwrap();
        let names = found.entries.into_iter();
        names
            .map(|session| session.labeling_session_id.as_str().to_owned())
            .collect()
    };
    let of_users = |users: &[&str]| SessionFilter {
        assigned_to: Some(users.iter().map(|&user| user.to_owned()).collect()),
        ..SessionFilter::default()
    };
    assert_eq!(names(SessionFilter::default()).await, ["s1", "s2", "s3"]);
    assert_eq!(names(of_users(&["ann@x.DE"])).await, ["s1"]);
    assert_eq!(names(of_users(&["Bob", "nobody"])).await, ["s1", "s2"]);
    assert!(names(of_users(&[])).await.is_empty() && names(of_users(&["ann"])).await.is_empty());
    let by_name = SessionFilter {
        name: Some("session s2".into()),
        created_by: Some("dev".into()),
        mlflow_run_id: Some(id("runs2")),
        ..of_users(&["bob"])
    };
    assert_eq!(names(by_name.clone()).await, ["s2"]);
    let other = SessionFilter {
        created_by: Some("ann".into()),
        ..by_name
    };
    assert!(names(other).await.is_empty());
}

async fn pages_hold_everything_once(Opened { store, .. }: Opened) {
    app(&store).await;
    for nth in 0..5 {
        session(&store, &format!("s{nth}"), &["ann"]).await;
    }
    store
        .add_items(&id("s0"), &new_items(0..25), "dev")
        .await
        .unwrap();
    let (mut sessions, mut token) = (Vec::new(), None);
    loop {
        let request = page(2, token.as_deref());
        let got = store
            .list_sessions(&id("app1"), &SessionFilter::default(), request)
            .await
            .unwrap();
        sessions.extend(got.entries.into_iter().map(|session| session.name));
        token = got.next_page_token;
        if token.is_none() {
            break;
        }
    }
    sessions.sort();
    assert_eq!(
        sessions,
        (0..5).map(|nth| format!("session s{nth}")).collect::<Vec<_>>()
    );
    let (mut traces, mut token) = (Vec::new(), None);
    loop {
        let request = page(7, token.as_deref());
        let got = store
            .list_items(&id("s0"), ItemFilter::default(), request)
            .await
            .unwrap();
        assert!(got.entries.len() <= 7);
        traces.extend(got.entries.into_iter().map(|item| item.source.trace_id.unwrap()));
        // What is added meanwhile comes at the end and shifts nothing.
        if traces.len() == 7 {
            store
                .add_items(&id("s0"), &new_items(25..27), "dev")
                .await
                .unwrap();
        }
        token = got.next_page_token;
        if token.is_none() {
            break;
        }
    }
    let expected: Vec<_> = new_items(0..27).into_iter().map(|item| item.trace_id).collect();
    assert_eq!(traces, expected, "in the order they were added");
    let wrong = store
        .list_items(&id("s0"), ItemFilter::default(), page(7, Some("zz")))
        .await;
    assert!(matches!(wrong, Err(store::StoreError::PageToken)));
}

async fn items_are_added_once(Opened { store, .. }: Opened) {
    app(&store).await;
    session(&store, "s1", &[]).await;
    session(&store, "s2", &[]).await;
    assert_eq!(
        store
            .add_items(&id("s1"), &new_items(0..500), "dev")
            .await
            .unwrap(),
        Changed::Done(500)
    );
    let before = items(&store, "s1").await;
    assert_eq!(
        store
            .add_items(&id("s1"), &new_items(250..510), "ann")
            .await
            .unwrap(),
        Changed::Done(10)
    );
    let after = items(&store, "s1").await;
    assert_eq!(after[..500], before, "those that were there are not touched");
    assert_eq!(
        store.add_items(&id("s2"), &new_items(0..3), "dev").await.unwrap(),
        Changed::Done(3)
    );
    assert_eq!(
        store.add_items(&id("s3"), &new_items(0..3), "dev").await.unwrap(),
        Changed::Missing
    );
    assert_eq!(
        store.add_items(&id("s2"), &[], "dev").await.unwrap(),
        Changed::Done(0)
    );
}

async fn those_who_add_the_same_at_once_neither_fail_nor_double(Opened { store, .. }: Opened) {
    app(&store).await;
    session(&store, "s1", &[]).await;
    let (store, mut tasks) = (std::sync::Arc::new(store), tokio::task::JoinSet::new());
    for nth in 0..12 {
        let store = std::sync::Arc::clone(&store);
        tasks.spawn(async move {
            let mut new = new_items(0..200);
            // In another order each: who locks rows in another order waits for the other for ever.
            new.rotate_left(nth * 16);
            if nth % 2 == 0 {
                new.reverse();
            }
            done(store.add_items(&id("s1"), &new, "dev").await.unwrap())
        });
    }
    let added: u64 = tasks.join_all().await.into_iter().sum();
    assert_eq!((added, items(&store, "s1").await.len()), (200, 200));
}

async fn an_item_comes_back_as_it_was_given(Opened { store, .. }: Opened) {
    app(&store).await;
    session(&store, "s1", &[]).await;
    store.add_items(&id("s1"), &new_items(0..3), "dev").await.unwrap();
    let mut item = items(&store, "s1").await.remove(1);
    assert_eq!(
        (item.state, item.labels.len(), item.comment.as_deref()),
        (ItemState::Pending, 0, None)
    );
    item.state = ItemState::Completed;
    item.comment = Some("größer\n'\"\\".into());
    item.chat_rounds = vec![json!({"request": {"a": 1}})];
    let labels = json!({"tone": {"value": ["a", {"b": 1.5}], "comment": "c"}, "n": {"value": 0}});
    item.labels = serde_json::from_value(labels).unwrap();
    let changed = done(
        store
            .update_item(&id("app1"), &id("s1"), &item, "ann")
            .await
            .unwrap(),
    );
    let mut expected = item.clone();
    expected.last_update_time.clone_from(&changed.last_update_time);
    expected.last_updated_by = Some("ann".into());
    assert_eq!(changed, expected);
    assert_eq!(
        store
            .get_item(&id("app1"), &id("s1"), &item.item_id)
            .await
            .unwrap(),
        Some(changed)
    );
    let filter = ItemFilter {
        state: Some(ItemState::Completed),
    };
    let found = store.list_items(&id("s1"), filter, page(10, None)).await.unwrap();
    assert_eq!(found.entries.len(), 1);
    assert!(
        store
            .delete_item(&id("app1"), &id("s1"), &item.item_id)
            .await
            .unwrap()
    );
    assert!(
        !store
            .delete_item(&id("app1"), &id("s1"), &item.item_id)
            .await
            .unwrap()
    );
    assert_eq!(
        store
            .update_item(&id("app1"), &id("s1"), &item, "ann")
            .await
            .unwrap(),
        Changed::Missing
    );
}

async fn a_change_to_an_old_version_is_a_conflict(Opened { store, .. }: Opened) {
    app(&store).await;
    session(&store, "s1", &[]).await;
    store.add_items(&id("s1"), &new_items(0..1), "dev").await.unwrap();
    let seen = items(&store, "s1").await.remove(0);
    // All from the same version, at once: one is done.
    let writes = (0..8).map(|nth| {
        let (store, mut item) = (&store, seen.clone());
        item.comment = Some(nth.to_string());
        async move {
            store
                .update_item(&id("app1"), &id("s1"), &item, "ann")
                .await
                .unwrap()
        }
    });
    let outcomes = futures::future::join_all(writes).await;
    let won: Vec<_> = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Changed::Done(_)))
        .collect();
    assert_eq!(won.len(), 1);
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Changed::Done(_) | Changed::Conflict))
    );
    let Changed::Done(item) = won[0] else {
        unreachable!()
    };
    assert_eq!(&items(&store, "s1").await[0], item);
    let unversioned = Item {
        last_update_time: None,
        ..seen
    };
    assert_eq!(
        store
            .update_item(&id("app1"), &id("s1"), &unversioned, "ann")
            .await
            .unwrap(),
        Changed::Conflict
    );
}

async fn what_belongs_to_a_session_goes_with_it(Opened { store, .. }: Opened) {
    app(&store).await;
    for name in ["s1", "s2"] {
        session(&store, name, &["ann"]).await;
        store.add_items(&id(name), &new_items(0..3), "dev").await.unwrap();
    }
    assert!(!store.delete_session(&id("other"), &id("s1")).await.unwrap());
    assert!(store.delete_session(&id("app1"), &id("s1")).await.unwrap());
    assert!(!store.delete_session(&id("app1"), &id("s1")).await.unwrap());
    assert_eq!(
        (items(&store, "s1").await.len(), items(&store, "s2").await.len()),
        (0, 3)
    );
    let left = store.assignments(&id("app1"), &["ann".to_owned()]).await.unwrap();
    assert_eq!(left.len(), 3);
}

async fn assignments_are_all_traces_of_all_sessions_of_a_user(Opened { store, .. }: Opened) {
    app(&store).await;
    session(&store, "s1", &["Ann"]).await;
    session(&store, "s2", &["ann", "bob"]).await;
    session(&store, "s3", &["bob"]).await;
    for (name, range) in [("s1", 0..2), ("s3", 5..6)] {
        store
            .add_items(&id(name), &new_items(range), "dev")
            .await
            .unwrap();
    }
    let of = async |name: &str| -> Vec<(String, Option<String>)> {
        let found = store.assignments(&id("app1"), &[name.to_owned()]).await.unwrap();
        let text = |one: store::Assignment| {
            let trace = one.trace_id.map(|id| id.as_str().to_owned());
            (one.mlflow_run_id.unwrap().as_str().to_owned(), trace)
        };
        let mut found: Vec<_> = found.into_iter().map(text).collect();
        found.sort();
        found
    };
    let row = |run: &str, trace: Option<&str>| (run.to_owned(), trace.map(str::to_owned));
    assert_eq!(
        of("ANN").await,
        [
            row("runs1", Some("tr-0000")),
            row("runs1", Some("tr-0001")),
            row("runs2", None)
        ]
    );
    assert_eq!(
        of("bob").await,
        [row("runs2", None), row("runs3", Some("tr-0005"))]
    );
    assert!(of("cy").await.is_empty());
}

async fn texts_are_values_and_never_sql(Opened { store, .. }: Opened) {
    app(&store).await;
    let hostile = "x'); DROP TABLE items; -- $1 ? \" \\ %s 👍";
    session(&store, "s1", &[hostile]).await;
    store
        .add_items(&id("s1"), &new_items(0..1), hostile)
        .await
        .unwrap();
    let mut item = items(&store, "s1").await.remove(0);
    item.comment = Some(hostile.to_owned());
    item.labels = [(
        hostile.to_owned(),
        serde_json::from_value(json!({"value": hostile})).unwrap(),
    )]
    .into();
    let changed = done(
        store
            .update_item(&id("app1"), &id("s1"), &item, hostile)
            .await
            .unwrap(),
    );
    assert_eq!(
        (changed.comment.as_deref(), changed.last_updated_by.as_deref()),
        (Some(hostile), Some(hostile))
    );
    assert_eq!(changed.labels, item.labels);
    let filter = SessionFilter {
        assigned_to: Some(vec![hostile.to_owned()]),
        ..SessionFilter::default()
    };
    let found = store
        .list_sessions(&id("app1"), &filter, page(10, None))
        .await
        .unwrap();
    assert_eq!(found.entries[0].assigned_users, [hostile]);
}

async fn an_item_of_another_app_is_not_there(Opened { store, .. }: Opened) {
    app(&store).await;
    session(&store, "s1", &[]).await;
    store.add_items(&id("s1"), &new_items(0..1), "dev").await.unwrap();
    let item = items(&store, "s1").await.remove(0);
    let other = id("app2");
    assert_eq!(
        store.get_item(&other, &id("s1"), &item.item_id).await.unwrap(),
        None
    );
    let changed = store.update_item(&other, &id("s1"), &item, "dev").await.unwrap();
    assert_eq!(changed, Changed::Missing);
    assert!(!store.delete_item(&other, &id("s1"), &item.item_id).await.unwrap());
    assert_eq!(items(&store, "s1").await, [item]);
}

/// Replicas are replaced one after the other: the new one migrates while the old one goes on.
async fn a_column_that_a_newer_release_adds_does_no_harm(opened: Opened) {
    use sqlx::Connection;
    let store = &opened.store;
    app(store).await;
    let made = session(store, "s1", &["ann"]).await;
    store.add_items(&id("s1"), &new_items(0..3), "dev").await.unwrap();
    let before = items(store, "s1").await;
    sqlx::any::install_default_drivers();
    let url = opened.config.url.expose_secret();
    let mut newer = sqlx::AnyConnection::connect(url).await.unwrap();
    for table in [
        "ts_review_apps",
        "ts_label_schemas",
        "ts_labeling_sessions",
        "ts_items",
    ] {
        let add = format!("ALTER TABLE {table} ADD COLUMN later TEXT NOT NULL DEFAULT ''");
        sqlx::query(sqlx::AssertSqlSafe(add))
            .execute(&mut newer)
            .await
            .unwrap();
    }
    assert_eq!(items(store, "s1").await, before);
    assert_eq!(
        store.get_session(&id("app1"), &id("s1")).await.unwrap(),
        Some(made)
    );
    assert!(store.find_review_app(&id("1")).await.unwrap().is_some());
    assert_eq!(
        store.add_items(&id("s1"), &new_items(3..5), "dev").await.unwrap(),
        Changed::Done(2)
    );
}

async fn opening_again_changes_nothing(opened: Opened) {
    app(&opened.store).await;
    let made = session(&opened.store, "s1", &["ann"]).await;
    let again = Store::open(&opened.config).await.unwrap();
    assert_eq!(
        again.get_session(&id("app1"), &id("s1")).await.unwrap(),
        Some(made)
    );
    let value: Value = json!(again.find_review_app(&id("1")).await.unwrap());
    assert_eq!(value["labeling_schemas"][0]["name"], "b");
}
