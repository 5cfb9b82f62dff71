//! What `trace-server export` writes, and where.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Config;

/// Which traces are written, how, and where to.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// MLflow's trace filter, such as `status = 'ERROR'`; all traces unless given.
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<String>,
    /// An experiment to look in; may be given several times. Unless given: `MLFLOW_EXPERIMENT_ID`.
    #[arg(long = "experiment", value_name = "ID")]
    pub experiments: Vec<String>,
    /// Order, such as `execution_time_ms DESC`; may be given several times.
    #[arg(long, value_name = "ORDER", default_value = "timestamp_ms ASC")]
    pub order_by: Vec<String>,
    /// So many traces at most.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// How a trace is written.
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    pub format: ExportFormat,
    /// The file to write; `-` for standard output. Until it is whole it is FILE.part, with FILE.plan beside it: the same
    /// command goes on where it was broken off.
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// Writes anew what is there already, whole or by half.
    #[arg(long)]
    pub force: bool,
    /// Leaves out traces that cannot be read and says which, in place of ending at the first. The exit status tells that there
    /// were some.
    #[arg(long)]
    pub skip_unreadable: bool,
    /// From where.
    #[command(flatten)]
    pub config: Config,
}

/// How a trace is written: one a line, or a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// As `GET /api/traces/{trace_id}` answers it: info with assessments, spans as MLflow stores them.
    Jsonl,
    /// OTLP/JSON, as an OpenTelemetry collector reads and writes it in files: spans, with the trace's info as attributes of
    /// their resource. No assessments.
    Otlp,
    /// A table for pandas, Polars, Spark or DuckDB: info in columns, assessments and spans as lists of JSON texts. Packed at
    /// the end, from lines in FILE.part.
    Parquet,
}

impl ExportFormat {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Otlp => "otlp",
            Self::Parquet => "parquet",
        }
    }
}
