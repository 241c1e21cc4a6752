//! Adapters to the world: speech engines, assistants and storage behind the ports of the pure crates.
