"""Layer 6: how a built stack of layers runs: one native network, or layer by layer."""
