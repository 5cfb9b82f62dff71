//! Logs: to standard output, one line each.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::LogFormat;

/// Starts logging; what is returned writes the last lines when it is dropped. Only the first call counts.
///
/// Lines are written by a thread of their own: a reader of our output who does not read must not stop the requests.
/// When it lags by more than 128,000 lines, further ones are dropped.
pub(super) fn start(filter: EnvFilter, format: LogFormat) -> WorkerGuard {
    let is_terminal = std::io::stdout().is_terminal();
    let (writer, guard) = tracing_appender::non_blocking(std::io::stdout());
    let registry = tracing_subscriber::registry().with(filter);
    // A second call is a test's; it keeps the first.
    let _ = match format {
        LogFormat::Json => {
            let layer = fmt::layer().json().flatten_event(true).with_current_span(false);
            let writer = move || Escaping(writer.make_writer());
            registry.with(layer.with_writer(writer)).try_init()
        }
        LogFormat::Pretty => {
            let layer = fmt::layer().compact().with_ansi(is_terminal);
            registry.with(layer.with_writer(writer)).try_init()
        }
    };
    guard
}

/// Escapes in lines of JSON what JSON itself lets pass: characters that a terminal acts on, or that a reader of the log
/// takes for a line's end. They may stand in whatever a request brings.
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    /// The formatter hands over a whole line at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Most lines are plain, which is seen many bytes at a time.
        let is_plain = line.is_ascii() && !line.contains(&0x7f);
        match std::str::from_utf8(line) {
            Ok(text) if !is_plain => self.0.write_all(escaped(text).as_bytes())?,
            _ => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn acts(character: char) -> bool {
    matches!(character, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}')
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, character| {
        if acts(character) {
            // A text takes any writing.
            let _ = write!(escaped, "\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_escaped_and_nothing_else() {
        let mut written = Vec::new();
        let line = "{\"path\":\"/é\u{9b}31m\u{2028}\u{7f}\"}\n";
        Escaping(&mut written).write_all(line.as_bytes()).unwrap();
        let written = String::from_utf8(written).unwrap();
        assert_eq!(written, "{\"path\":\"/é\\u009b31m\\u2028\\u007f\"}\n");
        let value = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
        assert_eq!(value(&written), value(line));
    }
}
