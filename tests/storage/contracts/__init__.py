"""One suite for each protocol of a store, run on every implementation of it: another one is held to it by one more line."""
