"""What a node's sandboxes weigh together, so that one costs its neighbours nothing but its own share."""

from hypothesis import given
from hypothesis import strategies as st

from sandboxes.node.cgroup_files import PARENT_WEIGHT_PER_CORE_MAX, Weights

GROUPS = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 10_000), max_size=8)


@given(GROUPS, st.integers(1, 64))
def test_the_parent_weighs_what_its_groups_do_up_to_a_limit(groups: dict[str, int], cores: int) -> None:
    weights = Weights(cores)
    told = [weights.add(name, weight) for name, weight in groups.items()]

    assert told[-1:] == ([max(100, min(PARENT_WEIGHT_PER_CORE_MAX * cores, sum(groups.values())))] if groups else [])
    assert [weights.remove(name) for name in groups][-1:] == ([100] if groups else [])


def test_a_neighbour_leaves_a_sandbox_its_own_weight() -> None:
    weights = Weights(cores=2)
    alone = weights.add("worker", 100)

    assert weights.add("neighbour", 50) == alone + 50
    assert weights.remove("neighbour") == alone
    assert weights.remove("neighbour") == alone
