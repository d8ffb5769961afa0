"""From outside to a port inside a sandbox: who may, and how bytes pass."""

from gate.proxy.serve import add_proxy_routes, serve

__all__ = ["add_proxy_routes", "serve"]
