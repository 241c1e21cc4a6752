//! Failed tests of speech services and assistants: a word for each [`crate::ports::Fault`], and one for a server that had no room.
//!
//! Invariant: what is told here is the service's own doing, but for the last entry.

use super::{Entry, Kind};

pub(super) const TESTED: Kind = Kind {
    name: "tested",
    title: "Tests of services and assistants",
    about: "*Test*, *Listen* and *Try it* ask the real service. A test that fails changes nothing; calls would fail alike, or be taken by the next service in the order of preference.",
    entries: ENTRIES,
};

const ENTRIES: &[Entry] = &[
    Entry {
        word: "unusable",
        title: "it cannot be opened as it is set",
        means: "The settings were kept, and nothing can be made of them on this server: a model, a voice or a language is not there, or a value is not what the service takes.",
        cause: "A voice of another language, a model that is not installed, a malformed ARN or URL.",
        remedy: "Read the sentence of the test: it names the setting. Correct it and test again.",
    },
    Entry {
        word: "nothing_named",
        title: "it names no service",
        means: "There is nothing to be tried in these settings.",
        cause: "The kind of the service was taken out.",
        remedy: "Choose a kind, and keep it.",
    },
    Entry {
        word: "overdue",
        title: "the service did not answer in time",
        means: "The service was reached, and did not answer within its deadline.",
        cause: "It is overloaded, far away, or waits for something itself.",
        remedy: "Test again. If it stays, look at the service, and choose a Region nearer to this server.",
    },
    Entry {
        word: "overloaded",
        title: "the service is overloaded",
        means: "Too much waits for the service on this server already.",
        cause: "More calls speak or listen at once than it keeps up with.",
        remedy: "Test again in a minute. If it happens in calls, add a second service to the order of preference, or a node.",
    },
    Entry {
        word: "unavailable",
        title: "the service cannot be reached, or said no",
        means: "The connection could not be made, or the service refused: its own words stand behind.",
        cause: "A wrong URL, a key that is not valid any more, a quota that is used up, a firewall.",
        remedy: "Open the URL from the server's machine, enter the key again, and look into the service's own console.",
    },
    Entry {
        word: "not_now",
        title: "the service cannot do it now, and may soon",
        means: "The service said itself that it should be asked later.",
        cause: "It restarts, or its limit of requests is reached.",
        remedy: "Test again in a minute; raise its limit if it happens in calls.",
    },
    Entry {
        word: "silent",
        title: "the service answered, and what it made is silence",
        means: "Speech came back, and not one sample of it is heard.",
        cause: "The voice does not speak the language of the sentence.",
        remedy: "Choose another voice: with the filter *On* those of the assistant's language are offered.",
    },
    Entry {
        word: "broke_off",
        title: "the service was opened, and broke off",
        means: "It began to listen, and the connection was closed within a second.",
        cause: "Key or model is refused only once audio comes, or a proxy cuts WebSocket connections.",
        remedy: "Enter the key again, choose another model, and look whether a proxy lets WebSocket connections through.",
    },
    Entry {
        word: "busy",
        title: "this server has no room to try it",
        means: "Nothing was tried, and nothing is known of the service.",
        cause: "Others try things at this moment.",
        remedy: "Test again in a few seconds.",
    },
];
