"""What answers an operation."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from gate.identity.callers import Caller
from gate.parts.services import Services

Handler = Callable[[Services, web.Request, Caller, Any], Awaitable[BaseModel | web.StreamResponse]]
"""Answers an operation: a model, or a response of its own for bytes and streams."""
