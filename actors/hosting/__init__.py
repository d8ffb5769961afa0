"""A host: many wallets in one process, with their files, timers and node. Knows nothing of Ray."""
