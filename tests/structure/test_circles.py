"""No module of ours needs itself in a roundabout way: neither at once, nor in a function, nor for its types."""

import pytest

from tests.structure.imports import circles, imports_of, modules, with_packages


def graph() -> dict[str, set[str]]:
    """Each module with those it imports, and the packages that are imported before them."""
    found = {}
    for module in modules():
        reached = {name for each in imports_of(module) for name in with_packages(each.target)}
        found[module] = {name for name in reached if name != module and not module.startswith(f"{name}.")}
    return found


def test_no_imports_go_in_a_circle() -> None:
    assert circles(graph()) == []


def test_the_graph_sees_imports_wherever_they_stand() -> None:
    kinds = {(each.is_late, each.is_for_types) for module in modules() for each in imports_of(module)}
    assert {(False, False), (True, False), (False, True)} <= kinds


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (["ab", "bc"], []),
        (["ab", "ba"], [["a", "b"]]),
        (["ab", "bc", "ca", "cd"], [["a", "b", "c"]]),
        (["ab", "ba", "cd", "dc", "ac"], [["a", "b"], ["c", "d"]]),
        (["aa"], [["a"]]),
    ],
)
def test_circles_are_found(pairs: list[str], expected: list[list[str]]) -> None:
    nodes: dict[str, set[str]] = {name: set() for pair in pairs for name in pair}
    for one, other in pairs:
        nodes[one].add(other)
    assert sorted(circles(nodes)) == expected
