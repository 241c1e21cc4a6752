//! The conversation without IO: turn loop, response types, digits, transcript and the ports it speaks through.
