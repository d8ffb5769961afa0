"""Disputes and checkpoints in 80 columns."""

import pytest

from satbox.cli import output
from satbox.cli.people import for_people

STEP = {"state": "open", "at": "2026-11-21T18:18:46.601Z", "seq": 6, "text": "it was down for two hours", "usat": 0}
DISPUTE = {
    "dispute_id": "dsp_8a17d6bd0c3752065efc6876", "address": "STRK5RT3Y7Q7N599YQ5CXYE3DTTGH7FHTMZD1DKQ", "state": "open",
    "about": {"seq": 12, "hash": "0b07" * 16, "kind": "charge"}, "reason": STEP["text"], "usat_max": 1_234_567,
    "credited_usat": 0, "answer_due_at": "2026-11-28T18:18:46.561Z", "verdict_due_at": "2026-12-12T18:18:46.561Z",
    "overdue": True, "steps": [STEP],
}  # fmt: skip
CHECKPOINT = {"statement": {"number": 3, "heads": 2, "root": "ab" * 32, "issued_at": "2026-11-21T18:18:46.601Z"}}


def lines(
    operation: str, document: dict[str, object], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    monkeypatch.setenv("COLUMNS", "80")
    output.tables(for_people(operation, document), None)
    return capsys.readouterr().out.splitlines()


def test_a_dispute_is_one_line_in_a_list(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = lines("operator.disputes", {"items": [DISPUTE]}, capsys, monkeypatch)
    assert max(map(len, shown)) <= 80
    assert "charge 12  open   1.234567  overdue" in shown[-1]


def test_a_dispute_by_itself_shows_what_was_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = lines("disputes.open", DISPUTE, capsys, monkeypatch)
    assert max(map(len, shown)) <= 80
    assert "2026-11-21 18:18:46Z  open   it was down for two hours" in shown[-1]


def test_checkpoints_fit_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for operation, document in (
        ("checkpoints.list", {"items": [CHECKPOINT]}),
        ("operator.checkpoint", {"made": True, "checkpoint": CHECKPOINT, "rewritten": {}}),
        ("checkpoints.proof", {"leaf": {"address": "ST1", "seq": 4, "head": "cd" * 32}, "checkpoint": CHECKPOINT}),
    ):
        shown = lines(operation, document, capsys, monkeypatch)
        assert max(map(len, shown)) <= 80
        assert any("abababababababab" in line for line in shown)
