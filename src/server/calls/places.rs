//! Where a server keeps what `bellhop calls` shows: what of its configuration that needs.
//!
//! Invariant: no secret is read, and no mistake elsewhere in the file is in the way: whoever looks after a call may read the
//! database and need not read the keys of the tenants' accounts.

use std::path::{Path, PathBuf};

use anyhow::Context;
use toml::{Table, Value};

use crate::config::{TEXT_MAX, database_at, read_text};

/// The database, and the folders that recordings lie in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    /// `storage.url`
    pub(super) database: String,
    /// Tenants that have recordings.
    pub(super) recordings: Vec<(String, PathBuf)>,
}

impl Places {
    /// Reads a server's configuration file.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = read_text(path, TEXT_MAX).map_err(|why| anyhow::anyhow!("{}: the file {why}", path.display()))?;
        Self::parse(&text, path).with_context(|| format!("{}: not TOML", path.display()))
    }

    fn parse(text: &str, path: &Path) -> Result<Self, toml::de::Error> {
        let table: Table = text.parse()?;
        let database = table.get("storage").and_then(|storage| storage.get("url")).and_then(Value::as_str);
        let tenants = table.get("tenants").and_then(Value::as_array).into_iter().flatten();
        let folder = path.parent().unwrap_or(Path::new(""));
        let recordings = tenants.filter_map(|tenant| {
            let name = tenant.get("name")?.as_str()?;
            let recordings = tenant.get("recording")?.get("folder")?.as_str()?;
            Some((name.to_owned(), folder.join(recordings)))
        });
        let (database, _) = database_at(folder, database.unwrap_or("sqlite://bellhop.db"));
        Ok(Self { database, recordings: recordings.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_whose_secrets_cannot_be_read_still_says_where_the_database_is() {
        let text = "[storage]\nurl = \"sqlite://a.db\"\n[[tenants]]\nname = \"acme\"\nmisspelt = 1\n\
            [tenants.connect]\nsecret_access_key = \"file:/nowhere\"\n[tenants.recording]\nfolder = \"wav\"\n\
            [[tenants]]\nname = \"other\"\n";
        let places = Places::parse(text, Path::new("/etc/bellhop/b.toml")).expect("TOML");
        let recordings = vec![("acme".to_owned(), "/etc/bellhop/wav".into())];
        assert_eq!(places, Places { database: "sqlite:///etc/bellhop/a.db".into(), recordings });
        assert_eq!(Places::parse("", Path::new("b.toml")).expect("TOML").database, "sqlite://bellhop.db");
    }
}
