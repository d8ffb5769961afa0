"""Each sandbox's share of the machine's terminals."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.node.settings import NodeSettings
from sandboxes.node.terminals import machine_terminals, per_sandbox, problem


@given(st.integers(0, 100_000), st.integers(1, 2_000), st.integers(0, 500))
def test_all_sandboxes_together_leave_terminals_to_others(available: int, slots: int, most: int) -> None:
    settings = NodeSettings(slots={"nano": slots}, pool={}, terminals_per_sandbox_max=most)

    share = per_sandbox(settings, available)

    assert 0 <= share <= most
    assert share * slots <= available * 3 // 4


def test_what_the_host_keeps_to_itself_is_not_handed_out(tmp_path: Path) -> None:
    (tmp_path / "max").write_text("4096\n")
    (tmp_path / "reserve").write_text("1024\n")

    assert machine_terminals(tmp_path) == 3072
    assert machine_terminals(tmp_path / "missing") == 0


@pytest.mark.parametrize(("available", "is_named"), [(3072, False), (0, True), (100, True)])
def test_a_machine_with_too_few_is_named(available: int, is_named: bool) -> None:
    settings = NodeSettings(slots={"nano": 100}, pool={})

    assert (problem(settings, available) is not None) == is_named
