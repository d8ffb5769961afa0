"""The only way out of a sandbox: a proxy that allows, checks, meters and adds secrets. A process of its own, without rights."""

from sandboxes.egress.settings import EgressSettings

__all__ = ["EgressSettings"]
