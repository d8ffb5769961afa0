"""Proof of the books: of one file with nothing but the operator's public key, and of a whole service's home."""
