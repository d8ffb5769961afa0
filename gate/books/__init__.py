"""Statements over the journal of a wallet: made, signed and written as files."""
