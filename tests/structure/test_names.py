"""A class's name says which one it is: two public classes of one name only where they never stand in one file."""

import ast
from collections import defaultdict

from tests.structure.imports import modules

FAMILIES = {
    "actors.wallet.commands.": "always written c.NAME: what a wallet is asked or told",
    "devnet.": "stands in for what bears the name outside",
    "operations.": "always written m.NAME or with another letter: what goes over the wire",
    "sandboxes.egress.": "the proxy on the way out: a process of its own",
    "sandboxes.spawner.": "the process that forks sandboxes",
    "sandboxes.supervisor.": "runs in the sandbox by itself",
    "simulator.": "stands in for what bears the name in a service",
}
"""Rooms in which a name may be used that is used elsewhere too, and why nobody takes the one for the other."""
ALLOWED = {
    "Agent": "one whom a registry knows (gate.genesis), one who has keys (satbox.agent): public names of two libraries",
}
"""Other names that two classes share, each with the reason."""


def public_classes() -> dict[str, list[str]]:
    """Where each name of a public class is defined."""
    found = defaultdict(list)
    for module, path in modules().items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(module)
    return found


def family_of(module: str) -> str:
    return next((family for family in FAMILIES if module.startswith(family)), "")


def shared(classes: dict[str, list[str]]) -> dict[str, list[str]]:
    """Names that two classes of one family share, or two that are of none."""
    found = {}
    for name, places in classes.items():
        families = [family_of(place) for place in places]
        if len(set(families)) < len(families):
            found[name] = places
    return found


def test_no_two_public_classes_share_a_name_without_a_reason() -> None:
    assert {name: places for name, places in shared(public_classes()).items() if name not in ALLOWED} == {}


def test_every_reason_is_needed() -> None:
    classes = public_classes()
    assert set(ALLOWED) <= set(shared(classes))
    doubled = {family_of(place) for places in classes.values() if len(places) > 1 for place in places}
    assert set(FAMILIES) <= doubled


def test_shared_names_are_seen() -> None:
    assert shared({"A": ["gate.a", "oracle.b"], "B": ["devnet.a", "gate.b"]}) == {"A": ["gate.a", "oracle.b"]}
    assert shared({"A": ["devnet.a", "devnet.b", "gate.c"]}) == {"A": ["devnet.a", "devnet.b", "gate.c"]}
