//! The shell: configuration, wiring, HTTP and the command line.
