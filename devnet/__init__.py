"""A real-wire local twin of the chain, the relay, the agent registry and the price feeds."""
