//! Stand-ins that behave like the real ones: a caller that speaks and an Amazon Connect that runs a flow.
