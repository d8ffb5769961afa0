"""What is the gate's own in a request (passes, API keys, tokens, wake links, payments): found in any place and spelling, and left
out of what a server inside is sent. Pure.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus

from gate.identity.port_tokens import TOKEN_QUERY
from operations.errors import SatboxError
from sandboxes.spellings import CharacterBudget, holds

EXACT_CHARS_MIN = 8
"""A shorter text proves nothing when it is found elsewhere."""
BASE64_CHARS_MIN = 24
"""Each of the gate's own is longer."""
OWN_COOKIES = ("satbox", "__host-satbox", "__secure-satbox")
_MARKS = re.compile(
    "eyJ0eXAiOiJwYXNzIiwiYXVkIjoi"  # the beginning of every pass's claims: {"typ":"pass","aud":"
    "|pt_[A-Za-z0-9_-]{43}"  # a port token
    "|swl_S[0-9A-Z]{27,41}_"  # a wake link
    "|sb(?:self)?_S[0-9A-Z]{27,41}_"  # an API key, or what a sandbox calls by
    '|"x402Version"'  # a payment, or a spending order
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The gate's own: by their form, and `exact` texts that have none (the operator's token, what this request pays with)."""

    exact: tuple[str, ...] = ()

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Credentials":
        """With those of the texts that are long enough to be known again."""
        return cls(tuple({text for text in texts if len(text) >= EXACT_CHARS_MIN}))

    def are_in(self, text: str, room: CharacterBudget | None = None) -> bool:
        """Whether one is in a text, as it is, percent-encoded, behind backslashes, or in base64 as basic auth has it; or
        whether it is wrapped too often to be found out.
        """
        return holds(text, self._is_plain_in, BASE64_CHARS_MIN, room)

    def _is_plain_in(self, text: str) -> bool:
        return _MARKS.search(text) is not None or any(exact in text for exact in self.exact)

    def stripped(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Headers without them: of cookies, websocket protocols and the Referer what is left, of others nothing."""
        passed, room = [], CharacterBudget()
        for name, value in headers:
            left = self._left(name.lower(), value, room)
            if left is not None and not self.are_in(name, room):
                passed.append((name, left))
        return passed

    def _left(self, name: str, value: str, room: CharacterBudget) -> str | None:
        if name == "cookie":
            is_clean = not self.are_in(value, room)
            value = ";".join(
                pair
                for pair in value.split(";")
                if not _is_own_cookie(pair) and (is_clean or not self.are_in(pair, room))
            )
            return value.strip() if value.strip() and (is_clean or not self.are_in(value, room)) else None
        if name == "sec-websocket-protocol":
            offered = [word for word in value.split(",") if not word.strip().lower().startswith("pass.")]
            value = ",".join(word for word in offered if not self.are_in(word, room))
        elif name in ("referer", "referrer") and (self.are_in(value, room) or TOKEN_QUERY in unquote(value)):
            value = re.split(r"[?#]", value, maxsplit=1)[0]
        else:
            return None if self.are_in(value, room) else value
        return value.strip() if value.strip() and not self.are_in(value, room) else None

    def stripped_target(self, target: str) -> str:
        """A path and query without the pairs that hold one. Raises invalid_request for one in the path, which is not ours to
        change.
        """
        room = CharacterBudget()
        path, mark, query = target.partition("?")
        if self.are_in(path, room):
            raise SatboxError("invalid_request", "The path holds a credential of the gate, which is not passed on.")
        if not mark:
            return path
        is_clean = not self.are_in(query, room)  # then no pair holds one: thousands of pairs are looked through at once
        if room.left < 0:
            raise SatboxError("invalid_request", "The query is encoded too often to be looked through.")
        if is_clean and TOKEN_QUERY not in unquote_plus(query).lower():
            return target if query else path
        pairs = [
            pair for pair in query.split("&") if (is_clean or not self.are_in(pair, room)) and not _is_own_pair(pair)
        ]
        query = "&".join(pairs)
        if not is_clean and (room.left < 0 or self.are_in(query, room)):  # spread over pairs
            raise SatboxError("invalid_request", "The query holds a credential of the gate, which is not passed on.")
        return path + (f"?{query}" if query else "")


def _is_own_pair(pair: str) -> bool:
    return unquote_plus(pair.partition("=")[0]).strip().lower() == TOKEN_QUERY


def _is_own_cookie(pair: str) -> bool:
    return pair.strip().lower().startswith(OWN_COOKIES)
