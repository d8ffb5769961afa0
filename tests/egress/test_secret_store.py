"""Secrets at rest: sealed, bound to their row and lifetime, bounded."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate.parts.secret_file import SecretFile
from gate.parts.secret_store import SECRETS_MAX, StoredSecret
from operations.errors import SatboxError

KEY = bytes(range(32))
VALUE = "p4ssw0rd-that-nobody-reads"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SecretFile]:
    made = SecretFile(tmp_path / "secrets.sqlite", KEY)
    yield made
    made.close()


def env(name: str) -> StoredSecret:
    return StoredSecret(name, "env", {}, 1_000)


def values(store: SecretFile, address: str = "SP1", lifetime: int = 1) -> dict[str, str]:
    return {each.secret.name: each.value for each in store.open(address, lifetime, "env")}


def test_what_was_set_comes_back_after_a_restart(store: SecretFile, tmp_path: Path) -> None:
    header = StoredSecret("H", "header", {"alias": "a", "upstream": "https://a.test"}, 2_000)
    store.set("SP1", 1, env("A"), VALUE)
    store.set("SP1", 1, header, "other")
    store.close()
    again = SecretFile(tmp_path / "secrets.sqlite", KEY)

    assert values(again) == {"A": VALUE}
    assert again.all("SP1", 1) == [env("A"), header]
    assert [each.value for each in again.open("SP1", 1, "header")] == ["other"]
    assert values(again, "SP2") == {}
    again.close()


def test_no_file_has_a_value_in_clear(store: SecretFile, tmp_path: Path) -> None:
    store.set("SP1", 1, env("A"), VALUE)
    store.set("SP1", 1, env("A"), VALUE[::-1])
    store.delete("SP1", 1, "A")

    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert VALUE.encode() not in content
        assert VALUE[::-1].encode() not in content
        assert path.stat().st_mode & 0o077 == 0 or path.suffix != ".sqlite"
    assert VALUE not in repr(store.open("SP1", 1, "env"))


@pytest.mark.parametrize("column", ["address = 'SP2'", "lifetime = 2", "name = 'B'"])
def test_a_sealed_value_does_not_open_in_another_row(store: SecretFile, tmp_path: Path, column: str) -> None:
    store.set("SP1", 1, env("A"), VALUE)
    database = sqlite3.connect(tmp_path / "secrets.sqlite")
    database.execute(f"UPDATE secrets SET {column}")
    database.commit()
    database.close()

    for address in ("SP1", "SP2"):
        for lifetime in (1, 2):
            assert values(store, address, lifetime) == {}


def test_another_key_opens_nothing(store: SecretFile, tmp_path: Path) -> None:
    store.set("SP1", 1, env("A"), VALUE)
    other = SecretFile(tmp_path / "secrets.sqlite", os.urandom(32))

    assert values(other) == {}
    other.close()


def test_a_destroyed_lifetime_takes_its_secrets_along(store: SecretFile) -> None:
    store.set("SP1", 1, env("A"), VALUE)
    assert values(store, lifetime=2) == {}
    assert store.all("SP1", 2) == []

    store.set("SP1", 2, env("B"), "new")
    assert store.all("SP1", 1) == []
    store.forget("SP1", 3)
    assert store.all("SP1", 2) == []


def test_the_version_rises_with_each_change_and_only_then(store: SecretFile) -> None:
    seen = [store.version("SP1")]
    store.set("SP1", 1, env("A"), VALUE)
    seen.append(store.version("SP1"))
    assert not store.delete("SP1", 1, "missing")
    seen.append(store.version("SP1"))
    assert store.delete("SP1", 1, "A")
    seen.append(store.version("SP1"))

    assert seen == [0, 1, 1, 2]


def test_there_is_room_for_so_many_and_so_much(store: SecretFile) -> None:
    for number in range(SECRETS_MAX):
        store.set("SP1", 1, env(f"A{number}"), "x" * 100)
    with pytest.raises(SatboxError) as caught:
        store.set("SP1", 1, env("ONE_MORE"), "x")
    assert caught.value.code == "secret_limit"
    store.set("SP1", 1, env("A0"), "y")  # over one that is there
    with pytest.raises(SatboxError):
        store.set("SP1", 1, env("A0"), "x" * 32_000)

    assert values(store)["A0"] == "y"
    assert len(store.all("SP1", 1)) == SECRETS_MAX
