//! Secrets of a section: themselves, or the place where they stand.
//!
//! Invariant: what is told of a secret names its place and never what it is.

use super::asks::Asks;
use super::document::{SetApart, Written, shown_of};
use super::section::Section;
use super::value::Value;
use crate::secret::Secret;

impl Section<'_> {
    /// What is written in the section, without the secrets that stand in it. Which those are is known once it has been read; where
    /// that found mistakes, one may have been overlooked.
    pub fn written(&self) -> Written {
        let within = self.path_of("");
        let own = |path: String| path.strip_prefix(&within).map(str::to_owned);
        let secrets = self.gathered.literal_secrets().into_iter().filter_map(own);
        let apart = SetApart::of(self.table().cloned().unwrap_or_default(), secrets.collect());
        let mut document = apart.document;
        for (path, _) in &apart.secrets {
            if let Some(place) = document.at_mut(path) {
                *place = Value::Nothing;
            }
        }
        let shown = |(path, secret): (String, Secret)| {
            let shown = shown_of(&path, &secret);
            (path, shown)
        };
        Written { document, secrets: apart.secrets.into_iter().map(shown).collect() }
    }

    /// A secret that must be there: itself, `env:NAME`, or `file:/path`. Empty if it is not, which has been told then.
    pub fn secret(&self, key: &str) -> Secret {
        self.asks(key, || Asks::Secret);
        let text = self.required_text(key);
        if text.is_empty() {
            return Secret::new("");
        }
        // Blanks around a place are nobody's intention; around a secret they may be.
        let around = self.gathered.around();
        let text = if around.refers(text.trim()) { text.trim().to_owned() } else { text };
        let refers = around.refers(&text);
        if !refers {
            self.gathered.holds_secret(self.path_of(key));
        }
        if let Some(other) = refers.then(|| self.places.borrow_mut().insert(text.clone(), key.to_owned())).flatten()
            && other != key
        {
            self.mistake(key, &format!("names the same place as `{other}`: they are two secrets"));
        }
        let found = self.find_secret(&text).and_then(|secret| match secret.trim() {
            "" => Err("is empty".to_owned()),
            kept if kept.contains(char::is_control) => Err("is more than one line of text".to_owned()),
            _ => Ok(secret),
        });
        match found {
            Ok(secret) => {
                self.leads_to(&secret);
                Secret::new(secret)
            }
            Err(why) => {
                let source = if refers { format!("`{text}` ") } else { String::new() };
                self.mistake(key, &format!("{source}{why}"));
                Secret::new("")
            }
        }
    }

    fn find_secret(&self, text: &str) -> Result<String, String> {
        let around = self.gathered.around();
        match text.trim().split_once(':') {
            Some((_, "")) if around.refers(text.trim()) => Err("names nothing".to_owned()),
            _ if around.refers(text) => around.secret_at(text),
            _ => Ok(text.to_owned()),
        }
    }
}
