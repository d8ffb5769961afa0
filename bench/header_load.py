"""Requests at a fixed pace over a few connections, in a process of its own: malformed payments, or status asked politely.

`python -m bench.header_load HOST PORT TOKEN SECONDS PER_SECOND malformed|status SEED` prints one JSON line. Bounded in time, in
count, and in how many requests are under way.
"""

import asyncio
import base64
import json
import random
import sys
import time
from collections import Counter

import uvloop

from stacks import Network, PrivateKey, sbtc
from stacks.signing import Sender, sign_origin, sip010_transfer

CONNECTIONS = 16
CORPUS = 600
UNDER_WAY_MAX = 4_000
TICK_SECONDS = 0.01
NETWORK = Network.TESTNET


def _b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def _around(transaction: object, **other: object) -> str:
    return _b64(json.dumps({"x402Version": 2, "payload": {"transaction": transaction}, **other}))


def malformed_header(rng: random.Random) -> str:
    """One header of some kind that is no payment: from not base64 at all to a transaction with a forged signature."""
    key = PrivateKey(rng.randbytes(32))
    tx = sign_origin(
        sip010_transfer(
            Sender(key.public_key, NETWORK, rng.randrange(100), 1_000), sbtc(NETWORK),
            PrivateKey(rng.randbytes(32)).address(NETWORK), rng.randrange(1, 10_000), "x402:forged",
        ),
        key,
    ).serialize()  # fmt: skip
    # version 1, chain id 4, auth 1, hash mode 1, signer 20, nonce 8, fee 8, key encoding 1, then the signature
    forged = tx[:44] + bytes([rng.randrange(4)]) + rng.randbytes(64) + tx[109:]
    kinds = (
        lambda: _b64(rng.randbytes(12_000)),
        lambda: _b64(rng.randbytes(15_000)),  # over the limit of a header
        lambda: _b64(rng.randbytes(40_000)),
        lambda: "!" * rng.randrange(1, 4_000),
        lambda: _b64('{"x402Version": 2, "payload": {"transaction": "' + "00" * rng.randrange(2_000)),
        lambda: _b64('{"x402Version": 2, "payload": ' + "[" * 5_000 + "]" * 5_000 + "}"),
        lambda: _b64('{"a":' * 2_000 + "1" + "}" * 2_000),
        lambda: _b64(json.dumps([{"x402Version": 2}] * 400)),
        lambda: _b64(json.dumps({"x402Version": 2, "payload": rng.choice([[], 7, "x", None, {"transaction": [1]}])})),
        lambda: _b64(json.dumps({"x402Version": rng.choice([1, 3, "2", None, 1e300]), "payload": {}})),
        lambda: _b64('{"x402Version": 2, "payload": {"transaction": ' + "9" * 5_000 + "}}"),
        lambda: _around("zz" * rng.randrange(1, 300)),
        lambda: _around(rng.randbytes(rng.randrange(1, 400)).hex()),
        lambda: _around(rng.randbytes(4_000).hex()),
        lambda: _around(tx[: rng.randrange(len(tx))].hex()),
        lambda: _around((tx + rng.randbytes(rng.randrange(1, 200))).hex()),
        lambda: _around(forged.hex()),
        lambda: _around(forged.hex(), accepted={"extra": {"quote": "x" * 2_000}}),
        lambda: _around(tx.hex()),  # well signed, for somebody else
        lambda: _around(tx.hex(), extensions={"payment-identifier": {"info": {"id": "short"}}}),
    )
    return rng.choice(kinds)()


def _request(method: str, path: str, host: str, token: str, header: str | None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {token}", "Content-Length: 0"]
    if header is not None:
        lines.append(f"payment-signature: {header}")
    return "\r\n".join([*lines, "", ""]).encode()


class Connection(asyncio.Protocol):
    """Sends what it is given, counts the answers by status."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.under_way = 0
        self._tail = b""
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop has its own class

    def send(self, request: bytes) -> None:
        self.under_way += 1
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._tail + data
        *answers, rest = data.split(b"HTTP/1.1 ")
        # What comes after a status line's beginning may itself be cut: keep it until its three digits are there.
        parts = [*answers[1:], rest] if answers else []
        for part in parts[:-1]:
            self._count(part)
        if parts:
            if len(parts[-1]) >= 3:
                self._count(parts[-1])
                self._tail = data[-8:] if not data[-8:].count(b"HTTP/1.1") else b""
            else:
                self._tail = b"HTTP/1.1 " + parts[-1]
        else:
            self._tail = data[-8:]

    def _count(self, part: bytes) -> None:
        self.statuses[int(part[:3])] += 1
        self.under_way -= 1

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False


async def main(host: str, port: int, token: str, seconds: float, per_second: int, kind: str, seed: int) -> None:
    rng = random.Random(seed)
    if kind == "status":
        corpus = [_request("GET", "/sandbox/status", host, token, None)]
    else:
        corpus = [_request("POST", "/sandbox/extend", host, token, malformed_header(rng)) for _ in range(CORPUS)]
    loop = asyncio.get_running_loop()
    connections = [(await loop.create_connection(Connection, host, port))[1] for _ in range(CONNECTIONS)]
    sent = skipped = reconnects = 0
    statuses: Counter[int] = Counter()
    began = time.perf_counter()
    while (now := time.perf_counter() - began) < seconds:
        due = int(now * per_second) - sent - skipped
        for _ in range(due):
            n = (sent + skipped) % CONNECTIONS
            if not connections[n].is_open:
                statuses += connections[n].statuses
                connections[n] = (await loop.create_connection(Connection, host, port))[1]
                reconnects += 1
            if connections[n].under_way > UNDER_WAY_MAX // CONNECTIONS:
                skipped += 1
                continue
            connections[n].send(corpus[sent % len(corpus)])
            sent += 1
        await asyncio.sleep(TICK_SECONDS)
    for _ in range(200):
        if not any(one.is_open and one.under_way for one in connections):
            break
        await asyncio.sleep(0.05)
    took = time.perf_counter() - began
    for one in connections:
        statuses += one.statuses
    answered = sum(statuses.values())
    found = {str(status): count for status, count in sorted(statuses.items())}
    print(
        json.dumps(
            {
                "sent": sent, "skipped": skipped, "answered": answered, "per_second": answered / took,
                "reconnects": reconnects, "statuses": found,
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    _, host_, port_, token_, seconds_, per_second_, kind_, seed_ = sys.argv
    uvloop.run(main(host_, int(port_), token_, float(seconds_), int(per_second_), kind_, int(seed_)))
