"""What a piece of work sees of the store it runs in: statements and their rows. What fails raises `storage.errors`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Rows(Protocol):
    """What a statement gave. Each row is a tuple."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement wrote."""
        ...

    def fetchone(self) -> Any:
        """The next row; None after the last."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A store, within a transaction that somebody else begins and ends."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Rows:
        """Run one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Rows:
        """Run one statement for each of these."""
        ...


class Store(Protocol):
    """Runs pieces of work, each in a transaction of its own. `tests/storage/contracts/test_store.py` holds each of them."""

    async def run(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` once it is durable; raises what it raises, nothing of it kept then."""
        ...
