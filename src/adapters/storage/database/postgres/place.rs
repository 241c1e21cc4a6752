//! Where a PostgreSQL database is: what its URL says.
//!
//! Invariant: no password of an URL is ever shown, and an option that is not known is a mistake that does not show its value.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// What may stand behind the `?` of an URL. Others would be passed over, and be written to the log.
const OPTIONS: [&str; 9] =
    ["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "port", "application_name", "options", "dbname"];
/// Those that name files.
const FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];
/// Who the server lists as connected, unless the URL says otherwise.
const APPLICATION: &str = "bellhop";

/// Whether an URL names a PostgreSQL database; why not is a sentence without the URL.
pub fn can_be_read(url: &str) -> Result<(), String> {
    parsed(url).map(drop)
}

fn parsed(url: &str) -> Result<PgConnectOptions, String> {
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split('=').next().unwrap_or_default();
        if name == "password" {
            return Err("a password stands in storage.password, or before the @".to_owned());
        }
        if !OPTIONS.contains(&name) {
            return Err(format!("`{name}` is none of the options {}", OPTIONS.join(", ")));
        }
        let value = parameter.split_once('=').map_or("", |(_, value)| value).to_ascii_lowercase();
        if FILES.contains(&name) && !value.starts_with('/') && !value.starts_with("%2f") {
            return Err(format!("`{name}` is no whole path: begin it with a slash"));
        }
    }
    let options = PgConnectOptions::from_str(url).map_err(|error| match error {
        sqlx::Error::Configuration(why) => why.to_string(),
        other => other.to_string(),
    })?;
    if options.get_database().is_none_or(str::is_empty) {
        return Err("names no database: write one like \"postgres://bellhop@db.example/bellhop\"".to_owned());
    }
    Ok(match options.get_application_name() {
        Some(_) => options,
        None => options.application_name(APPLICATION),
    })
}

/// How each connection is made. A password of its own goes before that of the URL.
pub(super) fn options(url: &str, password: Option<&str>) -> Result<PgConnectOptions, sqlx::Error> {
    let options = parsed(url).map_err(|why| sqlx::Error::Configuration(why.into()))?;
    Ok(match password {
        Some(password) => options.password(password),
        None => options,
    })
}

/// The URL for people: who, where and which, and nothing else of it.
pub(in super::super) fn shown(url: &str) -> String {
    let Ok(options) = parsed(url) else { return "postgres://…".to_owned() };
    let place = match options.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    // With an @ in it, it is no name but the rest of a password that has a slash.
    let database = options.get_database().filter(|name| !name.contains('@')).unwrap_or("…");
    format!("postgres://{}@{place}/{database}", options.get_username())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_is_shown_without_its_password() {
        for (url, expected) in [
            ("postgres://me:hush@db.example/calls", "postgres://me@db.example:5432/calls"),
            ("postgresql://me:h%40h@db.example:6432/calls?sslmode=require", "postgres://me@db.example:6432/calls"),
            ("postgres://me:hush@%2Frun%2Fpostgresql/calls", "postgres://me@/run/postgresql/calls"),
            ("postgres://me:hu@sh@db.example/calls", "postgres://me@db.example:5432/calls"),
            // Their slash makes the rest of the password look like a path.
            ("postgres://me:hu/sh@db.example/calls", "postgres://…"),
        ] {
            assert_eq!(shown(url), expected);
        }
        let shown = shown("postgres://me:12/hush@db.example/calls");
        assert!(!shown.contains("hush"), "{shown}");
    }

    #[test]
    fn what_is_wrong_with_an_url_is_a_sentence_without_it() {
        for (url, expected) in [
            ("postgres://me:hush@db.example/calls?password=hush", "storage.password"),
            ("postgres://me:hush@db.example/calls?sslmod=hush", "`sslmod` is none of the options sslmode"),
            ("postgres://me:hush@db.example/calls?sslmode=hush2", "hush2"),
            ("postgres://me:hush@db.example/calls?sslrootcert=ca.pem", "`sslrootcert` is no whole path"),
            ("postgres://me:hush@db.example", "names no database"),
            ("postgres://me:hush@db.example:port/calls", "port"),
        ] {
            let why = can_be_read(url).expect_err(url);
            assert!(why.contains(expected) && !why.contains("me:hush"), "{url}: {why}");
        }
        can_be_read("postgresql://me@localhost/calls?host=/run/postgresql&sslmode=disable").expect("good");
        can_be_read("postgres://me:a%40b@db.example:6432/calls?sslmode=verify-full&sslrootcert=/etc/ca.pem")
            .expect("good");
    }
}
