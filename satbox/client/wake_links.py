"""A wake link as a person has it: the URL, or the token alone."""

from dataclasses import dataclass, field

from yarl import URL

from operations.errors import SatboxError
from operations.wake_links import address_in

LINK_CHARS_MAX = 2048


@dataclass(frozen=True, slots=True)
class HeldLink:
    """A link: whose it is, its token, and the gate it names (None when there was only the token)."""

    address: str
    token: str = field(repr=False)
    gate: str | None = None


def looks_like_link(text: str) -> bool:
    """Whether a text is meant as a wake link, good or not: no handle begins so."""
    return text.lower().startswith(("swl_", "http://", "https://")) and "x.com/" not in text.partition("#")[0]


def read_link(text: str) -> HeldLink:
    """Read a link. Raises wake_link_invalid, without repeating what may be most of a token."""
    text = text.strip()
    if len(text) > LINK_CHARS_MAX:
        raise _unreadable()
    if text.startswith("swl_"):
        return HeldLink(_address(text), text)
    try:
        url = URL(text)
        host = url.host
    except ValueError as error:
        raise _unreadable() from error
    address = _address(url.fragment)
    before, slash, named = url.path.rpartition("/wake/")
    if url.scheme not in ("http", "https") or not host or not slash or named != address:
        raise _unreadable()
    return HeldLink(address, url.fragment, f"{url.origin()}{before}")


def _address(token: str) -> str:
    address = address_in(token)
    if address is None:
        raise _unreadable()
    return address


def _unreadable() -> SatboxError:
    return SatboxError(
        "wake_link_invalid", "This is no wake link.", hint="Copy the whole link, with what stands behind the #."
    )
