"""Calls over keep-alive connections, each waiting for its answer before the next; in a process of its own.

`python -m bench.call_load HOST PORT FILE` sends what FILE holds, a JSON list for each connection of base64 requests, once, and
prints one JSON line. An order pays once, so every paid request is another one, signed before the clock starts.
"""

import asyncio
import base64
import json
import sys
import time
from pathlib import Path

import uvloop

ANSWER_SECONDS_MAX = 30.0


async def caller(host: str, port: int, requests: list[bytes], samples: list[float], codes: dict[str, int]) -> None:
    """One connection."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for request in requests:
            began = time.perf_counter()
            writer.write(request)
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length[15:]))
            samples.append((time.perf_counter() - began) * 1000)
            code = head[9:12].decode()
            codes[code] = codes.get(code, 0) + 1
    finally:
        writer.close()


async def main(host: str, port: int, path: str) -> None:
    """All connections at once."""
    document = json.loads(await asyncio.to_thread(Path(path).read_text))
    requests = [[base64.b64decode(one) for one in each] for each in document]
    samples: list[float] = []
    codes: dict[str, int] = {}
    began = time.perf_counter()
    await asyncio.gather(*(caller(host, port, each, samples, codes) for each in requests))
    took = time.perf_counter() - began
    samples.sort()
    print(
        json.dumps(
            {
                "n": len(samples),
                "rps": len(samples) / took,
                "codes": codes,
                "p50": samples[len(samples) // 2],
                "p95": samples[int(len(samples) * 0.95)],
            }
        )
    )


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
