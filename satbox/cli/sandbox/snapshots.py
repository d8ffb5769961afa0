"""Snapshots by what people know of them: a name, or the first letters of a digest."""

import re

from operations.errors import SatboxError
from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.generic import call
from satbox.cli.sandbox.sandbox_tables import DIGEST_CHARS

_WHOLE = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{4,63}")


def found(word: str, snapshots: list[tuple[str, str]]) -> str:
    """The digest that a word means among (digest, name) pairs. Raises SatboxError when none is meant, UsageError when several
    are: what is restored or deleted is never guessed.
    """
    named = [digest for digest, name in snapshots if word and name == word]
    begun = [digest for digest, _ in snapshots if _PREFIX.fullmatch(word) and digest.startswith(word)]
    meant = sorted({*named, *begun})
    if not meant:
        raise SatboxError("snapshot_not_found")
    if len(meant) > 1:
        raise UsageError(
            f"{word!r} means {len(meant)} snapshots", f"One of: {', '.join(digest[:DIGEST_CHARS] for digest in meant)}."
        )
    return meant[0]


async def by_name(context: Context) -> int:
    """An operation on one snapshot, named by its name or its digest, whole or begun."""
    given = context.arguments
    if not _WHOLE.fullmatch(given.digest):
        async with context.client() as client:
            address = getattr(given, "address", None)
            listed = await client.snapshots_list(**({} if address is None else {"address": address}))
        given.digest = found(given.digest, [(item.digest, item.name) for item in listed.items])
    return await call(context)
