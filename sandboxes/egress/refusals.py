"""The proxy's refusals: stable codes, each with its HTTP status."""

from __future__ import annotations

import json

STATUS = {
    "egress_bad_request": 400,
    "egress_denied": 403,
    "egress_private_address": 403,
    "egress_limit": 429,
    "egress_unresolvable": 502,
    "egress_unreachable": 502,
    "egress_bad_answer": 502,
}
"""`egress_denied`: not on the allow-list; `egress_private_address`: leads to no public address; `egress_limit`: too much or
too many; `egress_unresolvable`: no such name; `egress_unreachable`: no connection, or no TLS that holds;
`egress_bad_answer`: what the upstream sent is not HTTP.
"""
_REASON = {400: "Bad Request", 403: "Forbidden", 429: "Too Many Requests", 502: "Bad Gateway"}
_RETRYABLE = {"egress_limit", "egress_unreachable", "egress_unresolvable"}


class Refusal(Exception):  # noqa: N818 - reads as what happened
    """The proxy refuses the request, or cannot do it. The program inside sees the message, which holds only what it sent."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]


def answer(refusal: Refusal) -> bytes:
    """A refusal as a whole HTTP answer that ends the connection."""
    content = {"code": refusal.code, "message": refusal.message[:300], "retryable": refusal.code in _RETRYABLE}
    body = json.dumps({"error": content}).encode() + b"\n"
    head = f"HTTP/1.1 {refusal.status} {_REASON[refusal.status]}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nX-Satbox-Error: {refusal.code}\r\n"
    return (head + "Connection: close\r\n\r\n").encode() + body
