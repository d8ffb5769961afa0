"""A command of the fork server is what a shell would have run."""

import asyncio
from pathlib import Path

import pytest

from tests.cli.running import satbox, satbox_on_terminal

LINES = [
    ("--version",),
    ("keygen", "--help"),
    ("no-such-verb",),
    ("status",),
    ("hash", "sha256", "-"),
    ("verify", "receipt", "nowhere.json"),
]


@pytest.mark.parametrize("words", LINES, ids=" ".join)
async def test_it_says_what_a_fresh_interpreter_says(words: tuple[str, ...], tmp_path: Path) -> None:
    gate = "http://127.0.0.1:1"
    calls = [satbox(*words, home=tmp_path, gate=gate, stdin=b"abc", is_fresh=fresh) for fresh in (False, True)]
    forked, fresh = await asyncio.gather(*calls)
    assert forked == fresh
    on_terminal = [satbox_on_terminal(*words, home=tmp_path, gate=gate, is_fresh=fresh) for fresh in (False, True)]
    forked_text, fresh_text = await asyncio.gather(*on_terminal)
    assert forked_text == fresh_text


async def test_commands_run_beside_one_another_and_leave_nothing_to_the_next(tmp_path: Path) -> None:
    homes = [tmp_path / str(number) for number in range(8)]
    made = await asyncio.gather(*(satbox("keygen", home=home) for home in homes))
    assert {each.code for each in made} == {0}
    assert len({each.document["testnet"]["stx"] for each in made}) == len(homes)
    assert (await satbox("status", home=tmp_path / "other")).code != 0
