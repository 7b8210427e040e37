//! Layer 0: instruction sets.
