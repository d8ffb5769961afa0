"""Whom a handle names: an agent id, a BNS name, a display name, a Bitcoin or Stacks address."""

from gate.handles.resolver import HandleResolver, ResolvedAgent
from gate.handles.words import Handle, read_handle

__all__ = ["Handle", "HandleResolver", "ResolvedAgent", "read_handle"]
