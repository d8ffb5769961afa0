"""From an operation and its values to an HTTP request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from operations.catalogue import REGISTRY
from operations.errors import SatboxError
from operations.registry import Auth, Body, Operation


@dataclass(frozen=True, slots=True)
class Request:
    """One operation's request; what the caller adds is its pass and its payment."""

    operation: Operation
    path: str
    values: dict[str, Any]
    query: dict[str, str] = field(default_factory=dict)
    json: Any = None

    @property
    def needs_pass(self) -> bool:
        """Whether the gate wants to know who asks."""
        return self.operation.auth not in (Auth.NONE, Auth.OPTIONAL)


def request_for(name: str, values: Mapping[str, Any]) -> Request:
    """The request of an operation; fields whose value is None are left out. Raises invalid_request before anything is sent."""
    operation = REGISTRY[name]
    given = {key: value for key, value in values.items() if value is not None}
    try:
        clean = operation.input.model_validate(given).model_dump(mode="json", exclude_none=True)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)[:20]
        fields = [{"field": ".".join(map(str, fault["loc"])), "problem": fault["msg"]} for fault in faults]
        raise SatboxError(
            "invalid_request",
            "; ".join(f"{f['field']}: {f['problem']}" for f in fields),
            details={"fields": fields},
        ) from error
    path = operation.path
    for part in operation.path_fields:
        path = path.replace(f"{{{part}}}", quote(str(clean[part]), safe=""))
    rest = {key: value for key, value in clean.items() if key not in operation.path_fields}
    if operation.method in ("GET", "DELETE") or operation.body is Body.UPLOAD:
        query = {key: _query_text(value) for key, value in rest.items()}
        return Request(operation, path, clean, query=query)
    return Request(operation, path, clean, json=rest)


def _query_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
