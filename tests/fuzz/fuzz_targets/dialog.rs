//! See `tests/support/fuzz.rs`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bellhop_tests::fuzz::dialog(bytes));
