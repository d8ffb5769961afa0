"""A process at the other end of a websocket."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from operations import processes as p
from operations.errors import SatboxError
from satbox.client.streams import LogEvent


class Attached:
    """Input, output and terminal of a running process. Closing it leaves the process running."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def write(self, data: bytes) -> None:
        """Send input."""
        await self._socket.send_bytes(data)

    async def end_input(self) -> None:
        """No more input."""
        await self._tell({"end": True})

    async def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal the size."""
        await self._tell({"resize": [rows, columns]})

    async def signal(self, name: str) -> None:
        """Signal its group."""
        await self._tell({"signal": name})

    async def _tell(self, content: dict[str, Any]) -> None:
        await self._socket.send_str(json.dumps(content))

    async def output(self) -> AsyncIterator[LogEvent]:
        """What it writes, then its end. Raises unreachable when the connection breaks before."""
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY and message.data:
                yield LogEvent("stderr" if message.data[0] == 2 else "stdout", message.data[1:])
                continue
            content = json.loads(message.data)
            if content.get("event") == "exit":
                yield LogEvent("exit", process=p.ProcessView.model_validate({"started_at": "", **content}))
                return
            if content.get("event") == "lost":
                yield LogEvent("stdout", lost_bytes=int(content["lost_bytes"]))
            if content.get("event") == "error":
                raise SatboxError("invalid_request", str(content.get("message", ""))[:300])
        raise SatboxError(
            "unreachable", "The connection to the process broke.", hint="Attach again; it goes on running."
        )

    async def close(self) -> None:
        """Detach; the process keeps running."""
        await self._socket.close()
