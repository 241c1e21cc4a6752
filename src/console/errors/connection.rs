//! Failed tests of a connection to Amazon Connect: a word for each cause of `bellhop_connect::connection_test`.
//!
//! Invariant: an entry names no account and no key; what is special to a test stands in the test's own sentence.

use super::{Entry, Kind};

pub(super) const CONNECTION: Kind = Kind {
    name: "connection",
    title: "Tests of the connection to Amazon Connect",
    about: "*Test connection* asks Amazon for what a hand-off needs, and writes nothing. What it found stands on the page *Connect to your Amazon Connect account*, with the policy to paste where one is missing.",
    entries: ENTRIES,
};

const ENTRIES: &[Entry] = &[
    Entry {
        word: "key_unknown",
        title: "the access key id is not known to Amazon",
        means: "Amazon has no access key of this id.",
        cause: "The key was deleted or made inactive, was copied with a letter too few, or its account is of another partition (China, GovCloud) than the instance.",
        remedy: "Look in IAM whether the key is there and active, enter its id again, or make a new key.",
    },
    Entry {
        word: "secret_wrong",
        title: "the secret access key is not that of the access key id",
        means: "Amazon knows the key, and its signature is not right.",
        cause: "The secret was copied with a blank or without its last sign, or is that of another key.",
        remedy: "Enter the secret again: it is shown once, when a key is made. If it is lost, make a new key.",
    },
    Entry {
        word: "clock_off",
        title: "this server's clock is off",
        means: "Requests are signed with their time, and Amazon believes one of five minutes around its own.",
        cause: "The server's clock is not set by the network.",
        remedy: "Whoever runs the server sets its clock by NTP (chrony, systemd-timesyncd).",
    },
    Entry {
        word: "denied",
        title: "what a hand-off does is not allowed",
        means: "The key or role is good, and no policy of it allows to write contact attributes in this instance.",
        cause: "The policy is missing or names another instance; or a Deny, a permissions boundary or a service control policy forbids it.",
        remedy: "Add the statement that the test shows to the policy of the key's user, or of the role. If it is there, look for a Deny, a permissions boundary or a service control policy.",
    },
    Entry {
        word: "role_refused",
        title: "the role may not be assumed",
        means: "Amazon does not let this server act as the role. It does not say which of the possible reasons it is.",
        cause: "There is no such role, its trust policy names another account or another external id, or our own key may not assume it.",
        remedy: "Look whether the role is there, and give it the trust policy that the page shows, with the external id as it stands there.",
    },
    Entry {
        word: "instance_unknown",
        title: "there is no such instance",
        means: "The account in the ARN has no Amazon Connect instance of this id in this Region.",
        cause: "The ARN is that of a deleted instance, or parts of two were mixed.",
        remedy: "Copy the instance's ARN again from the console of Amazon Connect: it names Region and account too.",
    },
    Entry {
        word: "not_in_this_region",
        title: "the instance or its account is not active in the Region",
        means: "Amazon Connect does not serve the instance in the Region that the ARN names.",
        cause: "The instance has a replica in another Region, which is the active one, or the account has not enabled the Region.",
        remedy: "Enter the ARN of the instance in the Region that is active, and look whether the account has enabled the Region.",
    },
    Entry {
        word: "instance_not_active",
        title: "the instance is not active",
        means: "The instance is there, and takes no calls.",
        cause: "It is being made, or that failed.",
        remedy: "Wait until the instance has been made; if that failed, make another.",
    },
    Entry {
        word: "name_not_resolved",
        title: "the name of Amazon's endpoint cannot be resolved",
        means: "This server found no address for the host that it wanted to ask.",
        cause: "The Region in the ARN is misspelt, the endpoint's URL is wrong, or the server has no working DNS.",
        remedy: "Look whether the Region in the ARN is spelt right; whoever runs the server looks whether it can resolve names.",
    },
    Entry {
        word: "connection_refused",
        title: "the endpoint refuses connections",
        means: "There is a machine at the address, and nothing listens on the port.",
        cause: "The endpoint's URL has a wrong port, or a proxy on the way is down.",
        remedy: "Look whether the endpoint's URL has the right port; normally none is set at all.",
    },
    Entry {
        word: "private_address",
        title: "the endpoint's address is private",
        means: "The endpoint's name leads to a private network or to the server's own machine, and it was not asked.",
        cause: "The endpoint's URL names a host of an internal network, and whoever runs the server has not allowed that.",
        remedy: "Leave the endpoint's URL out; whoever runs the server may allow private networks (`egress.private_networks`).",
    },
    Entry {
        word: "tls_failed",
        title: "who answers does not prove to be Amazon",
        means: "The connection was made, and its certificate is not one that this server trusts for that name.",
        cause: "A proxy answers in Amazon's place, or the machine has no list of authorities.",
        remedy: "Look whether something between this server and Amazon answers in its place, and whether the machine's authorities are there (`ca-certificates`).",
    },
    Entry {
        word: "no_answer",
        title: "the endpoint did not answer in time",
        means: "The request was sent, and nothing came back.",
        cause: "A firewall or security group drops it, or the network is down.",
        remedy: "Look whether this server may reach that address on its port: routes, security groups, firewalls; then test again.",
    },
    Entry {
        word: "connection_lost",
        title: "the connection could not be made, or broke",
        means: "The network gave up on the way.",
        cause: "A route is missing, or a firewall cut the connection.",
        remedy: "Look whether this server may reach that address on its port: routes, security groups, firewalls; then test again.",
    },
    Entry {
        word: "throttled",
        title: "Amazon throttles this account's requests",
        means: "The account asks for more in a second than Amazon allows.",
        cause: "Other programs of the account write contact attributes too, or many tests were made at once.",
        remedy: "Test again in a minute.",
    },
    Entry {
        word: "handoffs_first",
        title: "what this account may ask for is needed by hand-offs",
        means: "The test was not sent: of the ten requests a second that an account has, hand-offs come first.",
        cause: "Many callers are being handed over at this moment.",
        remedy: "Test again in a minute.",
    },
    Entry {
        word: "unexpected",
        title: "Amazon answered something unexpected",
        means: "The answer has a status or code that this server does not know.",
        cause: "Amazon has a disturbance, or the endpoint's URL leads to something that is not Amazon.",
        remedy: "Test again; if it stays, look the code up in Amazon's documentation, and whether the endpoint's URL is Amazon's.",
    },
];
