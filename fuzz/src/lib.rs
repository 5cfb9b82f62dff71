//! What reads other people's text, given any text.
//!
//! A target takes bytes, gives them to what it is about, and holds what comes of them against what must be true of it:
//! that nothing panics is the least of it. `make fuzz` has libFuzzer look for bytes of which something is not true; the
//! seeds, in `seeds/`, it begins with, and they are tests like any other.

mod analyses;
mod bodies;
mod filters;
mod json;
mod otlp;
mod request;
mod search;
mod spans;
mod tokens;

/// Something to give bytes to.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of the folder of its seeds.
    pub name: &'static str,
    /// Panics when something is not true that must be.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 9] = [
    target("analyses", analyses::run),
    target("bodies", bodies::run),
    target("filters", filters::run),
    target("json", json::run),
    target("otlp", otlp::run),
    target("request", request::run),
    target("search", search::run),
    target("spans", spans::run),
    target("tokens", tokens::run),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// Whether a text is JSON, by the parser.
fn is_json(text: &[u8]) -> bool {
    let text = std::str::from_utf8(text);
    text.is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_seed_is_read_as_it_must_be() {
        for target in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("seeds")
                .join(target.name);
            let seeds: Vec<_> = fs::read_dir(&folder)
                .unwrap()
                .map(|seed| seed.unwrap().path())
                .collect();
            assert!(!seeds.is_empty(), "{folder:?} is empty");
            for seed in seeds {
                // Shown beside the panic of a seed that is not.
                eprintln!("{}", seed.display());
                (target.run)(&fs::read(seed).unwrap());
            }
        }
    }
}
