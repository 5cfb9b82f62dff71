//! One program for all targets, so that one is linked: `FUZZ_TARGET` names the one that is run. See `run.py`.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    use std::sync::LazyLock;

    static CHOSEN: LazyLock<Option<fuzz::Target>> = LazyLock::new(|| {
        let name = std::env::var_os("FUZZ_TARGET")?;
        fuzz::TARGETS.into_iter().find(|target| target.name == name)
    });
    let target = CHOSEN.as_ref();
    assert!(target.is_some(), "FUZZ_TARGET names no target");
    if let Some(target) = target {
        (target.run)(data);
    }
});

/// Without libFuzzer there is nothing to do: the seeds are run by the tests.
#[cfg(not(fuzzing))]
fn main() {}
