//! What we promise: black-box tests, named as promises, and the stage they play on.
