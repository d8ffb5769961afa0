"""Prices in sats: sources, aggregation and signed quotes."""
