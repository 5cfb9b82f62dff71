//! All settings for people: as a page of Markdown (`docs/configuration.md`, which a test holds against this), as a manual page, and
//! for shells.

use std::collections::HashSet;
use std::fmt::Write as _;

use clap::builder::PossibleValue;
use clap::{Arg, CommandFactory};
use clap_complete::Shell;

use super::Cli;

const HEAD: &str = "\
# Configuration

<!-- Written by `make documents` from what `trace-server --help` is made of. -->

Each setting is a variable of the environment or a flag; the flag wins. An empty variable counts as unset. Sizes are written as
`512MiB`, times as `300s` or `1h`, several values with commas between. A setting that cannot be used ends the process before it
listens, with what to change.

`trace-server check` tries the settings and says what works; it takes the same ones.
";

/// The page.
pub fn markdown() -> String {
    let command = Cli::command();
    let mut page = HEAD.to_owned();
    let mut heading = None;
    // One that is read for two reasons is told of once.
    let mut seen = HashSet::new();
    for argument in command.get_arguments() {
        let Some(variable) = argument.get_env().filter(|name| seen.insert(name.to_os_string())) else {
            continue;
        };
        if argument.get_help_heading() != heading {
            heading = argument.get_help_heading();
            // A text takes any writing.
            let _ = write!(
                page,
                "\n## {}\n\n| variable | flag | default | what |\n|---|---|---|---|\n",
                heading.unwrap_or("Others")
            );
        }
        let (flag, default) = (flag(argument), default(argument));
        let variable = variable.to_string_lossy();
        let _ = writeln!(
            page,
            "| `{variable}` | `{flag}` | {default} | {} |",
            what(argument)
        );
    }
    page
}

/// What completes commands and flags in this shell.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "trace-server", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The manual page, in roff.
pub fn manual() -> String {
    let mut page = Vec::new();
    // A vector takes any writing.
    let _ = clap_mangen::Man::new(Cli::command()).render(&mut page);
    String::from_utf8_lossy(&page).into_owned()
}

fn flag(argument: &Arg) -> String {
    let name = argument.get_long().unwrap_or_default();
    let values = argument.get_value_names().unwrap_or_default();
    let value = values.first().map_or("VALUE", |name| name.as_str());
    format!("--{name} {value}")
}

fn default(argument: &Arg) -> String {
    let defaults = argument.get_default_values();
    let defaults = defaults
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()));
    defaults.collect::<Vec<_>>().join(", ")
}

/// Its help, on one line of a table, with the values that it may have.
fn what(argument: &Arg) -> String {
    let help = argument
        .get_long_help()
        .or_else(|| argument.get_help())
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut text = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_told = |value: &PossibleValue| text.contains(&format!("`{}`", value.get_name()));
    let values: Vec<_> = argument
        .get_possible_values()
        .into_iter()
        .filter(|value| !is_told(value))
        .filter_map(|value| {
            let help = value.get_help()?.to_string();
            Some(format!("`{}`: {}", value.get_name(), help.trim_end_matches('.')))
        })
        .collect();
    if !values.is_empty() {
        let _ = write!(text, ". {}", values.join("; "));
    }
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_as_it_is_committed_and_names_every_setting() {
        let page = markdown();
        let committed = include_str!("../../../../docs/configuration.md");
        assert!(
            page == committed,
            "docs/configuration.md is not what the settings say: `make documents`"
        );
        for argument in Cli::command().get_arguments() {
            if let Some(variable) = argument.get_env() {
                let row = format!("\n| `{}` |", variable.to_string_lossy());
                assert_eq!(page.matches(&row).count(), 1, "{row}");
            }
        }
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        assert!(
            page.lines()
                .filter(|line| line.starts_with('|'))
                .all(|line| columns(line) == 5)
        );
    }
}
