//! `bellhop voices`: the models and voices that a tenant's services offer, from the services themselves.

use std::path::Path;

use anyhow::Context;
use bellhop_dialogue::ports::{Band, ModelOrVoice, ServiceFailure};

use crate::engines::{Engines, Purpose, Shared};

/// Lists them as lines of text. A service that does not answer is told of and does not hide the others.
pub async fn list(path: &Path, tenant: &str) -> anyhow::Result<Vec<String>> {
    let (config, found) = super::of_tenant(path, tenant)?;
    let opening = tokio::task::spawn_blocking(move || Engines::open(&mut Shared::default(), &config, Purpose::Check));
    let (engines, mistakes) = opening.await.context("a speech engine could not be loaded")?;
    mistakes.or(())?;
    let choices = &engines.of.get(found).context("its services were opened")?.choices;
    let mut lines = vec![];
    for (kind, recognizer) in &choices.recognizers {
        lines.extend(told("speech_to_text", kind, recognizer.models().await));
    }
    for (kind, synthesizer) in &choices.synthesizers {
        lines.extend(told("text_to_speech", kind, synthesizer.voices().await));
    }
    Ok(lines)
}

fn told(port: &str, kind: &str, choices: Result<Vec<ModelOrVoice>, ServiceFailure>) -> Vec<String> {
    match choices {
        Err(failure) => vec![format!("{port}  {kind}  ({failure})")],
        Ok(choices) if choices.is_empty() => vec![format!("{port}  {kind}  (no choice)")],
        Ok(choices) => choices
            .iter()
            .map(|ModelOrVoice { name, language, gender, band }| {
                let band = match band {
                    Some(Band::Narrow) => "narrowband",
                    Some(Band::Broad) => "broadband",
                    None => "-",
                };
                let gender = gender.as_deref().unwrap_or("-");
                format!("{port}  {kind:<12}  {name:<28}  {language:<8}  {gender:<6}  {band}")
            })
            .collect(),
    }
}
