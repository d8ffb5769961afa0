"""Processes and pauses as people read them."""

from typing import Any

import pytest

from satbox.cli.people import for_people


def process(**changed: Any) -> dict[str, Any]:
    seen: dict[str, Any] = {
        "process_id": "p_0123456789ab", "state": "exited", "argv": ["sh", "-c", "x" * 100], "exit_code": 3, "signal": None,
        "timed_out": False, "oom_killed": False, "started_at": "2026-01-01T10:20:30.000Z", "log_end": 7,
    }  # fmt: skip
    return seen | changed


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "exit 3"),
        ({"state": "running", "exit_code": None}, "running"),
        ({"exit_code": None, "signal": 9}, "signal 9"),
        ({"exit_code": None, "signal": 9, "oom_killed": True}, "signal 9, out of memory"),
        ({"timed_out": True}, "timed out"),
        ({"state": "lost", "exit_code": None}, "lost"),
    ],
)
def test_how_a_process_ended_in_a_few_words(changed: dict[str, Any], words: str) -> None:
    (row,) = for_people("processes.list", {"items": [process(**changed)]})["items"]

    assert row["state"] == words
    assert len(row["command"]) == 60
    assert set(row) == {"process_id", "state", "command", "started_at", "log_bytes"}
