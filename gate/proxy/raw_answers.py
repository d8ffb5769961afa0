"""Answers whose heads hold bytes that are not UTF-8, byte for byte.

aiohttp reads such bytes as surrogates (PEP 383), and when it writes a head it leaves them out without a word.
"""

import re
from typing import Any

from aiohttp import web

_SURROGATE = re.compile("[\ud800-\udfff]")


class _RawHead(web.StreamResponse):
    async def _write_headers(self) -> None:
        request, writer = self._req, self._payload_writer
        assert request is not None
        assert writer is not None
        line = f"HTTP/{request.version[0]}.{request.version[1]} {self.status} {self.reason}"
        await writer.write_headers(line, self.headers)
        head = "\r\n".join([line, *(f"{name}: {value}" for name, value in self.headers.items())])
        if not head.count("\r") == head.count("\n") == len(self.headers):  # `outward` has refused control characters
            raise ValueError("a header with a line end")
        writer._headers_buf = f"{head}\r\n\r\n".encode("utf-8", "surrogateescape")  # type: ignore[attr-defined]
        if not isinstance(self, web.Response):
            writer.send_headers()


class _RawResponse(_RawHead, web.Response):
    pass


def _is_text(status: dict[str, Any]) -> bool:
    values = (str(status.get("reason")), *status["headers"].values())
    return not any(_SURROGATE.search(value) for value in values)


def stream(**status: Any) -> web.StreamResponse:
    """An answer in pieces: `status`, `reason`, `headers`."""
    return (web.StreamResponse if _is_text(status) else _RawHead)(**status)


def whole(body: bytes, **status: Any) -> web.Response:
    """An answer that is there as a whole."""
    return (web.Response if _is_text(status) else _RawResponse)(body=body, **status)
