//! Amazon Connect without IO: ARNs, contacts, attributes, session history keys and hand-offs.
