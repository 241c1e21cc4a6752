//! What the commands of the program do beside `serve`.

pub mod calls;
pub mod voices;
