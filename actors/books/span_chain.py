"""A hash chain over a wallet's spans, so that a statement or a checkpoint holds every one of them.

The journal's chain covers what was charged; this one covers what it was charged for.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict

from actors.wallet.commands import SpanRecord
from actors.wallet.journal import GENESIS


def linked(previous: str, span: SpanRecord) -> str:
    """The chain's head after one more span (SHA-256 over canonical JSON of integers and ASCII, as the journal's)."""
    document = {**asdict(span), "previous": previous}
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def chained(spans: Iterable[SpanRecord], head: str = GENESIS) -> str:
    """The chain's head after these spans."""
    for span in spans:
        head = linked(head, span)
    return head
