//! Secrets of tenants, sealed: what a database keeps of them opens for nobody who has the database alone.
//!
//! ```text
//! master key ──wraps──▶ data key of a tenant ──seals──▶ each secret, bound to tenant, document and path
//! ```
//!
//! Invariant: a sealed text that was changed, or that stands in another place than the one it was made for, does not open; no
//! error says anything of what is sealed. Who keeps what is sealed: `src/adapters/storage/tenants/`.

mod data_key;
mod key_command;
mod key_file;
mod master_key;
mod source;

pub use data_key::NotOpened;
pub(crate) use data_key::{DataKey, Place};
pub(crate) use master_key::MasterKey;
pub use master_key::NotUnlocked;
pub use source::{CannotTake, MasterKeySource};

use rand::RngCore;

/// Bytes of AES-256 keys.
const KEY_BYTES: usize = 32;

/// Random bytes for a key or a nonce.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}
