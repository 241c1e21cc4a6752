//! The Amazon Connect API behind the port that writes contact attributes.
