//! `~/.databrickscfg`: an ini file with one section per workspace.

use std::path::Path;

use ini::Ini;
use secrecy::SecretString;

use super::resolve::ConfigError;

/// One section of the file. Absent and empty values are alike.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub(super) host: Option<String>,
    pub(super) token: Option<SecretString>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<SecretString>,
}

/// Reads one profile.
///
/// # Errors
/// When the file cannot be read, is no ini file, or has no such section.
pub(super) fn read(file: &Path, name: &str) -> Result<Profile, ConfigError> {
    let shown = || file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| ConfigError::ProfileFile {
        file: shown(),
        reason: error.kind().to_string(),
    })?;
    // The parser's own error would quote the line, which may hold the token.
    let ini = Ini::load_from_str_noescape(&text).map_err(|error| ConfigError::ProfileFile {
        file: shown(),
        reason: format!("not an ini file (line {})", error.line),
    })?;
    let section = ini
        .section(Some(name))
        .ok_or_else(|| ConfigError::ProfileMissing {
            file: shown(),
            profile: name.to_owned(),
        })?;
    let value = |key| {
        section
            .get(key)
            .map(str::trim)
            .filter(|v| !v.is_empty())
            .map(str::to_owned)
    };
    Ok(Profile {
        host: value("host"),
        token: value("token").map(SecretString::from),
        client_id: value("client_id"),
        client_secret: value("client_secret").map(SecretString::from),
    })
}
