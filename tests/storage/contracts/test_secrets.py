"""What the gate takes for granted of a `SecretStore`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gate.parts.secret_file import SecretFile
from gate.parts.secret_store import SECRETS_MAX, SecretStore, StoredSecret
from operations.errors import SatboxError

KEY = bytes(range(32))
STORES: dict[str, Callable[[Path], SecretStore]] = {"file": lambda folder: SecretFile(folder / "secrets.sqlite", KEY)}


@pytest.fixture(params=STORES)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], SecretStore]:
    """Opens the same store again and again."""
    return lambda: STORES[request.param](tmp_path)


@pytest.fixture
def store(opened: Callable[[], SecretStore]) -> Iterator[SecretStore]:
    made = opened()
    yield made
    made.close()


def variable(name: str) -> StoredSecret:
    return StoredSecret(name, "env", {}, 5)


def test_a_secret_is_there_for_any_process_that_opens_the_store(
    store: SecretStore, opened: Callable[[], SecretStore]
) -> None:
    store.set("ST1", 1, variable("B"), "two")
    store.set("ST1", 1, variable("A"), "one")
    header = StoredSecret("C", "header", {"alias": "x"}, 6)
    store.set("ST1", 1, header, "three")
    again = opened()
    assert again.all("ST1", 1) == [variable("A"), variable("B"), header]
    assert [(one.secret.name, one.value) for one in again.open("ST1", 1, "env")] == [("A", "one"), ("B", "two")]
    assert [one.value for one in again.open("ST1", 1, "header")] == ["three"]
    assert again.all("ST2", 1) == []
    again.close()


def test_the_newest_value_of_a_name_stands(store: SecretStore) -> None:
    store.set("ST1", 1, variable("A"), "old")
    store.set("ST1", 1, variable("A"), "new")
    assert [one.value for one in store.open("ST1", 1, "env")] == ["new"]
    assert (store.delete("ST1", 1, "A"), store.delete("ST1", 1, "A")) == (True, False)
    assert store.all("ST1", 1) == []


def test_another_lifetime_sees_nothing_of_it(store: SecretStore) -> None:
    store.set("ST1", 1, variable("A"), "old")
    assert store.all("ST1", 2) == store.open("ST1", 2, "env") == []
    store.forget("ST1", 2)
    assert store.all("ST1", 1) == []


def test_the_version_rises_with_each_change_and_only_then(store: SecretStore) -> None:
    seen = [store.version("ST1")]
    store.set("ST1", 1, variable("A"), "x")
    seen.append(store.version("ST1"))
    store.delete("ST1", 1, "nothing")
    store.forget("ST1", 1)
    seen.append(store.version("ST1"))
    store.delete("ST1", 1, "A")
    seen.append(store.version("ST1"))
    assert seen[0] == 0 < seen[1] == seen[2] < seen[3]


def test_one_too_many_changes_nothing(store: SecretStore) -> None:
    for number in range(SECRETS_MAX):
        store.set("ST1", 1, variable(f"A{number:03d}"), "x")
    version = store.version("ST1")
    with pytest.raises(SatboxError, match="secret_limit"):
        store.set("ST1", 1, variable("B"), "x")
    assert (len(store.all("ST1", 1)), store.version("ST1")) == (SECRETS_MAX, version)
