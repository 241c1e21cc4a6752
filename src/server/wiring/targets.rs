//! From a tenant's settings to what the engine takes of them: what only others than the document can judge is judged
//! here.
//!
//! Invariant: whatever the settings are, there are targets; what is refused is told by its path, and left out. It is
//! done with every reading of a configuration, so that nothing of it is found only when a call comes.

use std::sync::Arc;

use bellhop_actors::services::{Codec, MediaPolicy, Security, Silence};
use bellhop_connect::InstanceArn;
use bellhop_dialogue::turn_loop::Policy;
use bellhop_sip::dialog::refer;
use bellhop_tenancy::settings::{self, ConnectSettings, MediaSettings, Mistake, Srtp, TenantSettings};
use bellhop_tenancy::{Integration, Tenant};
use jiff::tz::TimeZone;

use super::connections;
use crate::config::{Aws, Config, Mistakes};
use crate::policy;

/// What the engine takes of a document.
#[derive(Debug)]
pub struct Targets {
    /// What the engine knows of the integration.
    pub integration: Integration,
    /// How its calls sound.
    pub media: MediaPolicy,
    /// How its conversations are led.
    pub conversation: Policy,
    /// Its Amazon Connect instance; none where calls come from elsewhere.
    pub instance: Option<InstanceArn>,
    /// The headers of an INVITE that its assistant is told.
    pub invite_headers: Arc<[String]>,
}

impl Targets {
    /// Those of a tenant's integration, with every mistake by its path in the document. `conversation` was made of the same settings where
    /// that keeps nobody waiting ([`policy::of`]).
    pub fn of(settings: &TenantSettings, tenant: Arc<Tenant>, conversation: Policy) -> (Self, Vec<Mistake>) {
        let mut mistakes = vec![];
        let instance = settings.connect.as_ref().and_then(|connect| instance(connect, &mut mistakes));
        let mut integration = settings.integration(tenant);
        integration.instance = instance.as_ref().map(InstanceArn::key);
        if let Some(name) = settings.time_zone.as_deref().filter(|name| TimeZone::get(name).is_err()) {
            let why = format!(
                "`{name}` is no time zone that this machine knows, like \"Europe/London\" (Debian has them in `tzdata`)"
            );
            mistakes.push(Mistake::of_value("time_zone", why));
            integration.time_zone = None;
        }
        let targets = Self {
            integration,
            media: media(&settings.media),
            conversation,
            instance,
            invite_headers: settings.sip.invite_headers.clone().into(),
        };
        // The reader that the transfer itself goes through: what it refuses there would leave the caller without a
        // failover.
        let target = settings.sip.failover.target.as_deref();
        if let Some((target, why)) = target.and_then(|target| Some((target, refer::target(target).err()?))) {
            let why = format!("`{target}` is not a URI like \"sip:+18005550199@pbx.example.com\": {why}");
            mistakes.push(Mistake::of_value("sip.failure_target", why));
        }
        (targets, mistakes)
    }
}

/// Every mistake of settings that only their targets and their connection know of, by its path.
pub(crate) fn mistakes(settings: &TenantSettings, node: &Aws) -> Vec<Mistake> {
    let (conversation, mut mistakes) = policy::of(&settings.conversation);
    mistakes.extend(Targets::of(settings, Arc::new(settings.tenant()), conversation).1);
    let identity = settings.connect.as_ref().map(|connect| connections::identity(connect, &settings.name, node));
    mistakes.extend(identity.and_then(Result::err).unwrap_or_default());
    mistakes
}

/// The mistakes of all tenants that only their targets know of.
pub(crate) fn judge(config: &Config) -> Mistakes {
    let of = |tenant: &crate::config::Tenant| {
        let mistakes = mistakes(&tenant.settings, &config.aws);
        mistakes.into_iter().map(|mistake| (tenant.path(&mistake.path), mistake.why)).collect::<Vec<_>>()
    };
    config.places.mistakes(config.tenants.iter().flat_map(of).collect())
}

fn media(settings: &MediaSettings) -> MediaPolicy {
    let codec = |codec: &settings::Codec| match codec {
        settings::Codec::Pcmu => Codec::Pcmu,
        settings::Codec::Pcma => Codec::Pcma,
        settings::Codec::G722 => Codec::G722,
        settings::Codec::Opus => Codec::Opus,
    };
    MediaPolicy {
        codecs: match &settings.codecs {
            Some(codecs) => codecs.iter().map(codec).collect(),
            None => MediaPolicy::default().codecs,
        },
        security: match settings.srtp {
            Srtp::Off => Security::Off,
            Srtp::Preferred => Security::Preferred,
            Srtp::Required => Security::Required,
        },
        silence: if settings.suppress_silence { Silence::Suppressed } else { Silence::Sent },
        timeout: settings.timeout,
    }
}

/// None where it is missing too, which the reading has told.
fn instance(connect: &ConnectSettings, mistakes: &mut Vec<Mistake>) -> Option<InstanceArn> {
    let parsed = connect.instance_arn.parse::<InstanceArn>();
    if let (Err(error), false) = (&parsed, connect.instance_arn.is_empty()) {
        mistakes.push(Mistake::of_value("connect.instance_arn", error.to_string()));
    }
    parsed.ok()
}
