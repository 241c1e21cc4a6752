//! What of this node outlives every call: its registry, the contacts that are up, its ports, and what is told of calls that
//! were refused.
//!
//! Invariant: nobody here knows who makes, carries or ends a call.

pub mod call_registry;
pub mod live_contacts;
pub mod port_pool;
pub mod refused;
