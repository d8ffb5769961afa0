"""What is asked outside, seldom and by few at once: whom a handle names, and the next nonce of an address."""

from gate.outside.handle_resolver import HandleResolver, ResolvedAgent
from gate.outside.handle_words import Handle, read_handle

__all__ = ["Handle", "HandleResolver", "ResolvedAgent", "read_handle"]
