"""What a run's events become: one result, whatever a tenant's kernel puts into them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gate.actions.contexts import collected

DONE = {"event": "done", "timed_out": False, "truncated": False, "execution_count": 3}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
events = st.fixed_dictionaries(
    {"event": st.sampled_from(["stdout", "stderr", "result", "display", "error"])},
    optional={"data": anything, "name": anything, "value": anything, "traceback": anything},
)


def test_output_values_and_pictures_in_their_order() -> None:
    result = collected(
        [
            {"event": "stdout", "data": "a"},
            {"event": "display", "data": {"image/png": "iVBO"}},
            {"event": "stdout", "data": "b"},
            {"event": "result", "data": {"text/plain": "21"}},
            DONE,
        ]
    )

    assert (result.stdout, result.execution_count, result.error) == ("ab", 3, None)
    assert [(shown.kind, shown.data) for shown in result.results] == [
        ("display", {"image/png": "iVBO"}),
        ("result", {"text/plain": "21"}),
    ]


@given(st.lists(events, max_size=6))
def test_a_kernel_can_say_anything(said: list[dict[str, Any]]) -> None:
    result = collected([*said, DONE])

    assert result.stdout == "".join(
        e["data"] for e in said if e["event"] == "stdout" and isinstance(e.get("data"), str)
    )
    assert len(result.results) <= len(said)
    assert (result.error is None) == all(event["event"] != "error" for event in said)
