//! Signalling: sockets, connections, and the endpoint whose core tells whose a message is.
//!
//! Invariant: it knows no call and no Reception: owners of dialogs, who hears of new calls and who of their end are recipients.

pub mod doors;
pub mod endpoint;
pub mod liveness;
pub mod messages;
pub mod tls;
pub mod transport;
pub mod wire;
