//! Where lines are written: whole, or taken back.

use std::fs::TryLockError;
use std::io::SeekFrom;
use std::path::Path;

use futures::StreamExt;
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt, BufWriter};

use super::ExportError;
use super::lines::Line;
use super::plan::Files;
use crate::config::ExportFormat;

/// Bytes that are written at once.
const BUFFER: usize = 256 << 10;

/// How much of the last line is read to see which trace it is.
const GLIMPSE: usize = 4096;

/// A file, or standard output.
pub(super) struct Output {
    to: BufWriter<To>,
    files: Option<Files>,
    /// Where the line that is being written began, in bytes.
    begun_at: u64,
    /// Whether a part of a line is written.
    is_within: bool,
    last_line: Vec<u8>,
}

/// One of two, so that a file can be cut back.
enum To {
    File(File),
    Stdout(tokio::io::Stdout),
}

impl Output {
    pub(super) fn stdout() -> Self {
        Self {
            to: BufWriter::with_capacity(BUFFER, To::Stdout(tokio::io::stdout())),
            files: None,
            begun_at: 0,
            is_within: false,
            last_line: Vec::new(),
        }
    }

    /// Begins anew; the plan is written once the file is empty.
    pub(super) async fn new(files: Files, mut file: File, plan: String) -> Result<Self, ExportError> {
        let failed = ExportError::of_file(&files.part);
        file.set_len(0).await.map_err(failed)?;
        file.rewind().await.map_err(failed)?;
        files.write_plan(&plan).await?;
        Ok(Self::into_file(files, file, 0, Vec::new()))
    }

    /// The file as it was left, without the line that was being written.
    pub(super) async fn continued(files: Files, mut file: File) -> Result<Self, ExportError> {
        let failed = ExportError::of_file(&files.part);
        let (end, last_line) = last_whole_line(&mut file).await.map_err(failed)?;
        file.set_len(end).await.map_err(failed)?;
        file.seek(SeekFrom::Start(end)).await.map_err(failed)?;
        Ok(Self::into_file(files, file, end, last_line))
    }

    fn into_file(files: Files, file: File, begun_at: u64, last_line: Vec<u8>) -> Self {
        Self {
            to: BufWriter::with_capacity(BUFFER, To::File(file)),
            files: Some(files),
            begun_at,
            is_within: false,
            last_line,
        }
    }

    /// The beginning of the last whole line that was there.
    pub(super) fn last_line(&self) -> &[u8] {
        &self.last_line
    }

    /// Where it is written.
    pub(super) fn path(&self) -> &Path {
        let files = self.files.as_ref();
        files.map_or(Path::new("standard output"), |files| &files.part)
    }

    /// Writes a line, and says how many bytes it has.
    pub(super) async fn write_line(&mut self, line: &mut Line) -> Result<u64, ExportError> {
        let mut bytes = 1;
        self.is_within = true;
        while let Some(piece) = line.next().await {
            let piece = piece?;
            bytes += piece.len() as u64;
            self.write(&piece).await?;
        }
        self.write(b"\n").await?;
        // What is killed goes on after it.
        let flushed = self.to.flush().await;
        flushed.map_err(|error| ExportError::of_file(self.path())(error))?;
        self.begun_at += bytes;
        self.is_within = false;
        Ok(bytes)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        let written = self.to.write_all(bytes).await;
        written.map_err(|error| ExportError::of_file(self.path())(error))
    }

    /// Whether no half line stands at the end.
    pub(super) fn is_at_a_lines_begin(&self) -> bool {
        !self.is_within
    }

    /// Cuts off the line that was being written, where that can be done.
    pub(super) async fn take_back(&mut self) -> Result<(), ExportError> {
        let begun_at = self.begun_at;
        let cut = async {
            self.to.flush().await?;
            let To::File(file) = self.to.get_mut() else {
                return Ok(false);
            };
            file.set_len(begun_at).await?;
            file.seek(SeekFrom::Start(begun_at)).await?;
            Ok(true)
        };
        let cut: std::io::Result<bool> = cut.await;
        self.is_within = !cut.map_err(|error| ExportError::of_file(self.path())(error))?;
        Ok(())
    }

    /// All is written: what was a part is whole now, and on the disk. Says how many bytes what was packed has.
    pub(super) async fn finish(mut self, format: ExportFormat) -> Result<Option<u64>, ExportError> {
        let flushed = async {
            self.to.flush().await?;
            match self.to.get_mut() {
                To::File(file) => file.sync_all().await,
                To::Stdout(_) => Ok(()),
            }
        };
        let flushed = flushed.await;
        flushed.map_err(|error| ExportError::of_file(self.path())(error))?;
        match (&self.files, format) {
            (None, _) => Ok(None),
            (Some(files), ExportFormat::Parquet) => files.pack().await.map(Some),
            (Some(files), ExportFormat::Jsonl | ExportFormat::Otlp) => files.end().await.map(|()| None),
        }
    }
}

/// The file, which nobody else writes while this is held; made if it is not there.
pub(super) async fn locked(path: &Path) -> Result<File, ExportError> {
    let failed = ExportError::of_file(path);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(path).await.map_err(failed)?.into_std().await;
    match file.try_lock() {
        Ok(()) => Ok(File::from_std(file)),
        Err(TryLockError::WouldBlock) => Err(ExportError::IsWritten(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Whether there is something in it.
pub(super) async fn is_written(file: &File) -> bool {
    file.metadata().await.is_ok_and(|metadata| metadata.len() > 0)
}

/// Where the last whole line ends, and its beginning.
async fn last_whole_line(file: &mut File) -> std::io::Result<(u64, Vec<u8>)> {
    let length = file.metadata().await?.len();
    let Some(end) = last_line_end(file, length).await? else {
        return Ok((0, Vec::new()));
    };
    let begin = last_line_end(file, end - 1).await?.unwrap_or(0);
    file.seek(SeekFrom::Start(begin)).await?;
    let mut line = Vec::new();
    let glimpse = (end - begin).min(GLIMPSE as u64);
    file.take(glimpse).read_to_end(&mut line).await?;
    Ok((end, line))
}

/// Where the last line before `before` ends, its line end included.
async fn last_line_end(file: &mut File, before: u64) -> std::io::Result<Option<u64>> {
    let mut end = before;
    let mut bytes = vec![0; BUFFER];
    while end > 0 {
        let begin = end.saturating_sub(BUFFER as u64);
        file.seek(SeekFrom::Start(begin)).await?;
        let read = &mut bytes[..usize::try_from(end - begin).unwrap_or(BUFFER)];
        file.read_exact(read).await?;
        if let Some(at) = read.iter().rposition(|byte| *byte == b'\n') {
            return Ok(Some(begin + at as u64 + 1));
        }
        end = begin;
    }
    Ok(None)
}

impl AsyncWrite for To {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::File(file) => std::pin::Pin::new(file).poll_write(context, bytes),
            Self::Stdout(stdout) => std::pin::Pin::new(stdout).poll_write(context, bytes),
        }
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::File(file) => std::pin::Pin::new(file).poll_flush(context),
            Self::Stdout(stdout) => std::pin::Pin::new(stdout).poll_flush(context),
        }
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::File(file) => std::pin::Pin::new(file).poll_shutdown(context),
            Self::Stdout(stdout) => std::pin::Pin::new(stdout).poll_shutdown(context),
        }
    }
}
