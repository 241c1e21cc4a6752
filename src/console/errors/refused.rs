//! Calls that were refused: a word for each reason of `actors/node/refused.rs`, whose sentence is the title here.
//!
//! Invariant: an entry tells of no tenant's settings what another may not know; `src/server/console/reasons.rs` holds it against the reasons.

use super::{Entry, Kind};

pub(super) const REFUSED: Kind = Kind {
    name: "refused",
    title: "Refused calls",
    about: "A call that was refused never came about: nobody was heard, and there is no record of it. Those for a tenant's numbers are on its page *Refusals*; those for numbers of nobody are seen by operators.",
    entries: ENTRIES,
};

const ENTRIES: &[Entry] = &[
    Entry {
        word: "draining",
        title: "the server is draining and takes no more calls",
        means: "The server is about to end. Calls that are up go on, new ones are answered 503.",
        cause: "It is being restarted or replaced.",
        remedy: "Nothing, if it is being restarted: other nodes take the calls meanwhile. With a single node callers come through again once it is up.",
    },
    Entry {
        word: "nobodys_number",
        title: "no tenant has the number that was dialled",
        means: "The call came to this server, and the number in its request line belongs to no integration that is served.",
        cause: "The number is written in another way where the call is sent from (without `+` and country code, say), it was never entered here, or its integration has a mistake and is not served.",
        remedy: "Add the number to an integration, on its page *Phone numbers*, or correct it where the call is sent from. In Amazon Connect's flow *To User* has to be *System*, *Dialed Number*.",
    },
    Entry {
        word: "several_owners",
        title: "several tenants have this number and the call does not say which Amazon Connect instance it comes from, or comes from where that is not believed",
        means: "More than one tenant entered the number. Which of them is called is told by the instance that the flow names, and that counts only from a network that is listed.",
        cause: "The flow does not send the instance's ARN in *User to User*, or calls come from networks that `sip.sources` does not list.",
        remedy: "List the networks that calls come from in `sip.sources`, have the flow send `$.InstanceARN` in *User to User*, or ask the operator to confirm whose the number is.",
    },
    Entry {
        word: "not_from_there",
        title: "the tenant's sip.sources do not name the address it came from",
        means: "The integration takes calls from the networks that it lists, and this one came from another address.",
        cause: "The carrier or the Voice Connector sends from an address more, or somebody tries the number who should not.",
        remedy: "If the address is yours, or your carrier's, add it or its network to `sip.sources`. If it is not, nothing is to be done.",
    },
    Entry {
        word: "other_server_name",
        title: "the tenant's sip.server_name was not asked for in TLS",
        means: "The integration is reached by a host name of its own, and the call asked for another one, or for none.",
        cause: "The inbound route of the Voice Connector, or the trunk, has another host, or an address in place of one.",
        remedy: "Send the calls to the host name that `sip.server_name` says.",
    },
    Entry {
        word: "login_needs_tls",
        title: "the tenant wants a login, and logins are taken over TLS alone",
        means: "The integration wants user and password, and the call came over UDP or TCP, where others could read them.",
        cause: "The trunk is set to UDP or TCP.",
        remedy: "Send the calls over TLS (port 5061), or take the login out of the integration.",
    },
    Entry {
        word: "wrong_login",
        title: "user or password is not the tenant's",
        means: "The caller's side answered the question for a login, and not with the one that stands here.",
        cause: "The password was changed on one side alone, or somebody guesses.",
        remedy: "Enter the same user and password here and where the calls are sent from.",
    },
    Entry {
        word: "key_in_the_clear",
        title: "srtp is required, and its keys would be readable without TLS",
        means: "`media.srtp` is `required`, and the call came over UDP or TCP: the keys of the audio would have gone over the wire for everybody to read.",
        cause: "The Voice Connector's encryption is off, or the trunk is set to UDP or TCP.",
        remedy: "Send the calls over TLS: turn the Voice Connector's *encryption* on. Or set `media.srtp` to `preferred`.",
    },
    Entry {
        word: "other_instance",
        title: "the Amazon Connect instance or account that it names is not the tenant's",
        means: "The flow that transferred the call belongs to another Amazon Connect instance than the one that is set up here.",
        cause: "The instance's ARN was copied from another Region or instance, or the flow of a test instance sends its calls to the number of the real one.",
        remedy: "Correct the *Amazon Connect Instance ARN* of the integration, or have the flow of that instance send its calls to a number of its own.",
    },
    Entry {
        word: "node_full",
        title: "all places of this server are taken (sip.max_calls)",
        means: "The server has as many calls as it may have, of all tenants together.",
        cause: "More people call than the server was set up for, or the other nodes are down.",
        remedy: "Whoever runs the server raises `sip.max_calls`, or adds a node.",
    },
    Entry {
        word: "tenant_full",
        title: "all places of the tenant are taken (max_calls)",
        means: "As many calls of the tenant are up as its plan or its `max_calls` allows.",
        cause: "More people call at once than was expected; or calls hang because nobody ends them.",
        remedy: "Raise `max_calls`, or have the tenant put on a larger plan. The page *Dashboard* shows how many calls were up at once.",
    },
    Entry {
        word: "tenant_too_fast",
        title: "more calls of the tenant came in a second than may (max_calls_per_second)",
        means: "Calls began faster than the plan or `max_calls_per_second` allows.",
        cause: "A campaign or an outage has everybody call at once, or a dialler is at work.",
        remedy: "Raise `max_calls_per_second`, or have the tenant put on a larger plan.",
    },
    Entry {
        word: "unacknowledged",
        title: "too many calls of its source wait for their ACK",
        means: "Calls from this address were answered, and the caller's side never acknowledged that: no more of them are begun.",
        cause: "Our answers do not arrive there: a wrong `sip.advertise`, a route or a firewall that lets calls in and answers not out. Or somebody forges addresses.",
        remedy: "Look why our answers do not arrive there: the address that this server advertises, routes, and firewalls on the way back.",
    },
    Entry {
        word: "no_ports",
        title: "no RTP port is free (media.ports)",
        means: "Every call needs a port for its audio, and all of `media.ports` are taken.",
        cause: "`media.ports` is narrower than `sip.max_calls`, or another program uses ports of it.",
        remedy: "Whoever runs the server widens `media.ports`, or stops what else uses ports of it.",
    },
    Entry {
        word: "too_many_turned_away",
        title: "too many calls over the limits of their tenant are being answered and ended",
        means: "Calls over the limits are answered, told so and transferred (`on_setup_failure`); so many of them are under way that this one was refused at once.",
        cause: "The limits of the tenant are far below the calls that come.",
        remedy: "Raise the tenant's limits, or have its flow send fewer calls.",
    },
    Entry {
        word: "not_acceptable",
        title: "nothing in its offer can be served",
        means: "The caller's side offered no audio that both sides speak, or SRTP where `media.srtp` does not allow it, or none where it is required.",
        cause: "The trunk offers codecs like G.729 alone, or its encryption does not fit `media.srtp`.",
        remedy: "Have it offer PCMU, and SRTP only as `media.srtp` says: a Voice Connector with *encryption* on needs `preferred` or `required`.",
    },
];
