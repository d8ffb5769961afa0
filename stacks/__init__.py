"""Stacks codecs and signatures, pure: addresses, Clarity values, transactions, SIP-018."""
