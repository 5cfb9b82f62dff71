//! docker-compose.yml, read as the Compose specification has it.

use std::collections::BTreeSet;

use compose_spec::Compose;
use serde_norway::Value;

use crate::file;

/// The file as it is when no variable is set.
fn text() -> String {
    let text = std::fs::read_to_string(file("docker-compose.yml")).unwrap();
    let (mut plain, mut rest) = (String::new(), text.as_str());
    while let Some((before, variable)) = rest.split_once("${") {
        let (variable, after) = variable.split_once('}').unwrap();
        plain.push_str(before);
        let (_, default) = variable.split_once(":-").expect("a variable has a default");
        plain.push_str(default);
        rest = after;
    }
    plain + rest
}

fn services() -> serde_norway::Mapping {
    let mut file: Value = serde_norway::from_str(&text()).unwrap();
    file.apply_merge().unwrap();
    file["services"].as_mapping().unwrap().clone()
}

#[test]
fn it_is_what_the_specification_wants() {
    let compose = Compose::options()
        .apply_merge(true)
        .from_yaml_str(&text())
        .unwrap();
    compose.validate_all().unwrap();
}

#[test]
fn each_profile_holds_all_that_its_services_wait_for() {
    let services = services();
    let profiles = |service: &Value| -> BTreeSet<String> {
        let named = service["profiles"].as_sequence().unwrap();
        named
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    let mut all = BTreeSet::new();
    for (name, service) in &services {
        all.extend(profiles(service));
        let Some(waits_for) = service.get("depends_on").and_then(Value::as_mapping) else {
            continue;
        };
        for (other, how) in waits_for {
            let other_service = &services[other];
            assert!(
                profiles(other_service).is_superset(&profiles(service)),
                "{name:?} {other:?}"
            );
            assert_eq!(how["condition"], "service_healthy");
            let is_ours = other_service["image"] == "trace-server:local";
            assert!(
                is_ours || other_service.get("healthcheck").is_some(),
                "{other:?} says how it is"
            );
        }
    }
    assert_eq!(
        all.into_iter().collect::<Vec<_>>(),
        ["alone", "mlflow", "replicas"]
    );
}

#[test]
fn nothing_is_reached_from_elsewhere_and_ours_may_do_little() {
    for (name, service) in &services() {
        for port in service
            .get("ports")
            .and_then(Value::as_sequence)
            .into_iter()
            .flatten()
        {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name:?}");
        }
        let image = service["image"].as_str().unwrap();
        assert!(image.contains(':') && !image.ends_with(":latest"), "{image}");
        if image == "trace-server:local" {
            assert_eq!(service["read_only"], true);
            assert_eq!(service["cap_drop"][0], "ALL");
        }
    }
}
