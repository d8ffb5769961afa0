"""The tools of satbox over the Model Context Protocol, made from the operation registry."""

from satbox.mcp_server.serve import serve_http, serve_stdio

__all__ = ["serve_http", "serve_stdio"]
