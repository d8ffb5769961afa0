"""This terminal at a process elsewhere: what is typed goes there at once, and what comes back is never held up by it."""

import asyncio
import os
import sys
import tty
from pathlib import Path
from typing import cast

import pytest

from satbox.cli.sandbox.terminal import DETACH, _input
from satbox.client.attached import Attached


class Far:
    """The other end, as far as input goes."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    async def write(self, data: bytes) -> None:
        await self.received.put(data)

    async def end_input(self) -> None:
        await self.received.put(b"")


async def test_after_a_key_nothing_waits_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    hand, keyboard = os.openpty()
    tty.setraw(keyboard)
    os.set_blocking(keyboard, False)  # so that a read with nothing to read fails here, instead of holding up everything
    far = Far()
    with os.fdopen(hand, "wb", buffering=0) as typed, os.fdopen(keyboard, "rb", buffering=0) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        leaving = asyncio.create_task(_input(cast(Attached, far), is_tty=True))
        for key in (b"a", b"b", b"\x03"):
            typed.write(key)
            assert await far.received.get() == key
            for _ in range(10):
                await asyncio.sleep(0)
            assert not leaving.done()
        typed.write(b"c" + DETACH)
        assert await leaving is True
        assert far.received.get_nowait() == b"c"


async def test_a_file_may_be_the_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "notes").write_bytes(b"hello")
    far = Far()
    with (tmp_path / "notes").open("rb", buffering=0) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert await _input(cast(Attached, far), is_tty=False) is False
    assert [far.received.get_nowait(), far.received.get_nowait()] == [b"hello", b""]
