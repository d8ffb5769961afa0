"""A load of GET requests over a few pipelined connections, in a process of its own so that it has its own core.

`python -m bench.http_load HOST PORT PATH TOKEN SECONDS CONNECTIONS DEPTH` prints one JSON line. Bounded in time and count.
"""

import asyncio
import json
import sys
import time

import uvloop

OK = b"HTTP/1.1 200"


class Connection(asyncio.Protocol):
    """Keeps `depth` requests under way on one connection."""

    def __init__(self, request: bytes, depth: int, until: float) -> None:
        self._request = request
        self._depth = depth
        self._until = until
        self._sent: list[float] = []
        self.samples_ms: list[float] = []
        self.failures = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop has its own class
        self._send(self._depth)

    def _send(self, count: int) -> None:
        now = time.perf_counter()
        self._sent += [now] * count
        self._transport.write(self._request * count)

    def data_received(self, data: bytes) -> None:
        data = self._tail + data
        answered = data.count(b"HTTP/1.1 ")
        self.failures += answered - data.count(OK)
        self._tail = data[-(len(OK) - 1) :] if not data.endswith(b"}") else b""
        now = time.perf_counter()
        for at in self._sent[:answered]:
            self.samples_ms.append((now - at) * 1000)
        del self._sent[:answered]
        if now < self._until:
            self._send(answered)
        elif not self._sent and not self.done.done():
            self._transport.close()
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def main(host: str, port: int, path: str, token: str, seconds: float, connections: int, depth: int) -> None:
    lines = (f"GET {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {token}", "", "")
    request = "\r\n".join(lines).encode()
    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda: Connection(request, depth, began + seconds), host, port))[1]
        for _ in range(connections)
    ]
    async with asyncio.timeout(seconds + 30):
        await asyncio.gather(*(one.done for one in made))
    took = time.perf_counter() - began
    samples = sorted(sample for one in made for sample in one.samples_ms)
    print(
        json.dumps(
            {
                "n": len(samples),
                "rps": len(samples) / took,
                "failures": sum(one.failures for one in made),
                "p50": samples[len(samples) // 2],
                "p95": samples[int(len(samples) * 0.95)],
            }
        )
    )


if __name__ == "__main__":
    _, host_, port_, path_, token_, seconds_, connections_, depth_ = sys.argv
    uvloop.run(main(host_, int(port_), path_, token_, float(seconds_), int(connections_), int(depth_)))
