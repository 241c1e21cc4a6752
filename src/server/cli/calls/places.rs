//! Where a server keeps what `bellhop calls` shows: what of its configuration that needs.
//!
//! Invariant: no secret is read but the password of the database, and no mistake elsewhere in the file is in the way: whoever looks after a call may read the
//! database and need not read the keys of the tenants' accounts.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bellhop_tenancy::likely::hint;
use bellhop_tenancy::secret::Secret;
use toml::{Table, Value};

use crate::config::{Position, TEXT_MAX, database_at, read_text, secret_beside};
use crate::live;

/// The database, and the folders that recordings lie in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    /// `storage.url`
    pub(super) database: String,
    /// `storage.password`, as it is written.
    password: Option<Secret>,
    /// `operations.socket`
    socket: Option<PathBuf>,
    /// The file itself.
    file: PathBuf,
    /// The names of all tenants.
    pub(super) tenants: Vec<String>,
    /// Tenants that have recordings.
    pub(super) recordings: Vec<(String, PathBuf)>,
}

impl Places {
    /// Reads a server's configuration file.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = read_text(path, TEXT_MAX).map_err(|why| anyhow::anyhow!("{}: the file {why}", path.display()))?;
        Self::parse(&text, path).map_err(|error| {
            // The message alone: the error's own text quotes the line, which may hold a secret.
            let at = error.span().map(|span| format!("{}:", Position::of(&text, span.start))).unwrap_or_default();
            anyhow::anyhow!("{}:{at} not TOML: {}", path.display(), error.message())
        })
    }

    /// What to tell of a tenant that the file does not have: it may have had it, and its calls may be kept.
    pub(super) fn unknown(&self, tenant: &str) -> Option<String> {
        if self.tenants.iter().any(|known| known == tenant) {
            return None;
        }
        let hint = hint(tenant, self.tenants.iter().map(String::as_str));
        Some(format!("the file has no tenant `{tenant}`{hint} (it has {})", self.tenants.join(", ")))
    }

    /// Where the running server is reached.
    pub(super) fn socket(&self) -> anyhow::Result<PathBuf> {
        live::socket_of(self.socket.as_deref(), &self.database).context(live::without_socket(&self.database))
    }

    /// The password of the database.
    pub(super) fn password(&self) -> anyhow::Result<Option<Secret>> {
        let Some(written) = &self.password else { return Ok(None) };
        let read = secret_beside(&self.file, written.expose());
        // What is written is a place then, and no secret.
        let why = |why| anyhow::anyhow!("{}: storage.password: `{}` {why}", self.file.display(), written.expose());
        read.map(Some).map_err(why)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, toml::de::Error> {
        let table: Table = text.parse()?;
        let said = |section: &str, key| table.get(section).and_then(|section| section.get(key)).and_then(Value::as_str);
        let tenants = || table.get("tenants").and_then(Value::as_array).into_iter().flatten();
        let folder = path.parent().unwrap_or(Path::new(""));
        let recordings = tenants().filter_map(|tenant| {
            let name = tenant.get("name")?.as_str()?;
            let recordings = tenant.get("recording")?.get("folder")?.as_str()?;
            Some((name.to_owned(), folder.join(recordings)))
        });
        let recordings = recordings.collect();
        let names = tenants().filter_map(|tenant| Some(tenant.get("name")?.as_str()?.to_owned())).collect();
        let (database, _) = database_at(folder, said("storage", "url").unwrap_or("sqlite://bellhop.db"));
        let password = said("storage", "password").map(Secret::new);
        let socket = said("operations", "socket").map(|socket| folder.join(socket));
        Ok(Self { database, password, socket, file: path.to_owned(), tenants: names, recordings })
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
        let tenants = vec!["acme".to_owned(), "other".to_owned()];
        let file = PathBuf::from("/etc/bellhop/b.toml");
        let database = "sqlite:///etc/bellhop/a.db".into();
        assert_eq!(places, Places { database, password: None, socket: None, file, tenants, recordings });
        assert_eq!(places.unknown("acme"), None);
        let unknown = places.unknown("acne").expect("unknown");
        assert_eq!(unknown, "the file has no tenant `acne`: did you mean `acme`? (it has acme, other)");
        assert_eq!(Places::parse("", Path::new("b.toml")).expect("TOML").database, "sqlite://bellhop.db");
    }

    #[test]
    fn of_a_shared_database_the_password_alone_is_read_and_the_socket_is_where_it_is_said() {
        let own = tempfile::tempdir().expect("a folder");
        let folder = own.path();
        let text = |more: &str| format!("[storage]\nurl = \"postgres://me@db/calls\"\n{more}");
        let parse = |more: &str| Places::parse(&text(more), &folder.join("b.toml")).expect("TOML");
        let places = parse("password = \"file:password\"\n[operations]\nsocket = \"b.sock\"\n");
        let why = places.password().expect_err("it is not there").to_string();
        assert!(why.contains("storage.password: `file:password` is not there"), "{why}");
        std::fs::write(folder.join("password"), "hush\n").expect("written");
        assert_eq!(places.password().expect("read"), Some(Secret::new("hush")));
        assert_eq!(places.socket().expect("said"), folder.join("b.sock"));
        let why = parse("").socket().expect_err("nowhere").to_string();
        assert!(why.starts_with("operations.socket is not set"), "{why}");
        assert!(!format!("{:?}", parse("password = \"hush\"")).contains("hush"));
    }
}
