//! How far an export is: a bar on a terminal, else a line now and then; on standard error.

use std::time::{Duration, Instant};

use bytesize::ByteSize;
use indicatif::{ProgressBar, ProgressStyle};

use super::{ExportError, tell};

/// Between two lines where there is no terminal.
const TOLD_EVERY: Duration = Duration::from_secs(10);

const BAR: &str = "{bar:30} {pos} of {len} traces, {msg}, {elapsed} ({eta} left)";

pub(super) struct Progress {
    bar: ProgressBar,
    traces: u64,
    written: u64,
    gone: u64,
    left_out: u64,
    before: u64,
    bytes: u64,
    told_at: Instant,
}

impl Progress {
    /// So many traces, of which so many were dealt with before.
    pub(super) fn begin(traces: usize, before: usize) -> Self {
        let (traces, before) = (traces as u64, before as u64);
        // Draws nothing where standard error is no terminal.
        let bar = ProgressBar::new(traces).with_position(before);
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        if before > 0 {
            tell(&format!("goes on after {before} of {traces} traces"));
        }
        Self {
            bar,
            traces,
            written: 0,
            gone: 0,
            left_out: 0,
            before,
            bytes: 0,
            told_at: Instant::now(),
        }
    }

    pub(super) fn wrote(&mut self, bytes: u64) {
        self.written += 1;
        self.bytes += bytes;
        self.bar.inc(1);
        self.bar.set_message(ByteSize(self.bytes).to_string());
        if self.bar.is_hidden() && self.told_at.elapsed() >= TOLD_EVERY {
            self.told_at = Instant::now();
            let (done, size) = (
                self.before + self.written + self.gone + self.left_out,
                ByteSize(self.bytes),
            );
            tell(&format!("{done} of {} traces, {size}", self.traces));
        }
    }

    /// One was deleted since it was listed.
    pub(super) fn is_gone(&mut self) {
        self.gone += 1;
        self.bar.inc(1);
    }

    /// One cannot be read, which is told at once.
    pub(super) fn leaves_out(&mut self, why: &ExportError) {
        self.left_out += 1;
        self.bar.inc(1);
        self.bar.suspend(|| tell(&why.to_string()));
    }

    /// How many could not be read.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// What was done, in a line; `packed` has so many bytes what was packed at the end.
    pub(super) fn told(&self, packed: Option<u64>) -> String {
        let gone = match self.gone {
            0 => String::new(),
            gone => format!("; {gone} were deleted meanwhile"),
        };
        let size = ByteSize(packed.unwrap_or(self.bytes));
        format!("{} traces written, {size}{gone}", self.written)
    }
}
