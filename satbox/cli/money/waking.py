"""`satbox wake`: one's own sandbox, somebody's by a wake link, or anybody's as a gift. Who it is, is said before it is done."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.keys.wake_links import link_of
from satbox.cli.money.buying import buy
from satbox.cli.output import document_of, note, progress, show
from satbox.cli.people import for_people

if TYPE_CHECKING:
    from satbox.client import Client
    from satbox.client.wake_links import HeldLink

GIFT = "1h"


@dataclass(frozen=True, slots=True)
class Whom:
    """A wallet, and what it is called."""

    address: str
    name: str


async def wake(context: Context) -> int:
    """Wake, or pay for a wake with --pay."""
    from satbox.client.wake_links import looks_like_link

    given = context.arguments
    text: str | None = given.address
    if text is not None and looks_like_link(text):
        if given.link is not None:
            raise UsageError("a wake link was given twice", "Leave out one of them.")
        return await _by_link(context, link_of(context, text), None)
    if given.link is not None:
        return await _by_link(context, link_of(context, given.link), text)
    if text is None:
        return await (_own(context, None) if given.pay is None else _paid(context, {}, None))
    return await _by_name(context, text)


async def _own(context: Context, whom: Whom | None) -> int:
    async with context.client() as client:
        return await _done(context, client, {} if whom is None else {"address": whom.address})


async def _done(context: Context, client: "Client", values: dict[str, Any]) -> int:
    if context.arguments.size_class is not None:
        values["size_class"] = context.arguments.size_class
    with progress(context, "waking"):
        found = document_of(await client.wake(**values))
    show(context, found if context.as_json else for_people("sandbox.wake", found))
    return 0


async def _by_name(context: Context, text: str) -> int:
    """By handle or address: one's own is woken, somebody else's wants a link or a gift."""
    own = context.load_agent().addresses(context.client_network()).stx if has_agent(context) else None
    if text.upper() == own:
        whom = Whom(own, text)
    else:
        whom = await resolved(context, text, own)
        note(context, f"{text} is {whom.name}")
    if context.arguments.pay is not None:
        return await _paid(context, {"address": whom.address}, None)
    if whom.address == own:
        return await _own(context, whom)
    raise _not_ours(whom.address)


def has_agent(context: Context) -> bool:
    """Whether there are keys to sign with."""
    from satbox.agent.keystore import Keystore

    return context.agent_name in Keystore(context.home).names()


async def resolved(context: Context, text: str, own: str | None) -> Whom:
    """The agent that a handle names. A shared name means `own` when `own` has it; otherwise no agent is chosen."""
    from operations.errors import SatboxError
    from stacks import Address

    async with context.client(with_agent=False) as client:
        try:
            found = await client.agents_resolve(text)
        except SatboxError as error:
            bearers = error.details.get("candidates", ()) if error.code == "handle_ambiguous" else ()
            network = context.client_network()
            if own is not None and own in (str(Address.parse(bearer).to_network(network)) for bearer in bearers):
                return Whom(own, f"the name of {len(bearers)} agents; yours among them: {own}")
            raise
    known = [found.display_name, found.bns_name, None if found.agent_id is None else f"agent {found.agent_id}"]
    named = ", ".join(word for word in known if word)
    return Whom(found.address, f"{named or 'an agent'} ({found.address}), {found.level_name}; sandbox {found.state}")


def _not_ours(address: str) -> Exception:
    from operations.errors import SatboxError

    gift = f"satbox extend --address {address} --seconds 3600"
    return SatboxError(
        "not_owner", "This sandbox is somebody else's: a wake link of its owner's wakes it, or a gift of more time.",
        details={"address": address}, hint=f"{gift} gives it an hour; that wakes it, unless its owner put it to sleep.",
    )  # fmt: skip


async def _by_link(context: Context, link: "HeldLink", text: str | None) -> int:
    """With the credit that is left, or with --pay out of this agent's coins. `text` must mean the same wallet."""
    from operations.errors import SatboxError

    if context.arguments.pay is not None:
        await _named(context, link, text)
        return await _paid(context, {"address": link.address}, link)
    async with context.client(with_agent=False, link=link) as client:
        info = await client.wake_links_info()
        note(context, f"a wake link of {info.address}{f' ({info.label})' if info.label else ''}; sandbox {info.state}")
        is_named = text is not None and text.upper() != link.address
        try:
            return await _done(context, client, {"handle": text} if is_named else {})
        except SatboxError as error:
            if error.code != "credit_insufficient":
                raise
            raise SatboxError(error.code, details=error.details, hint=_how_to_pay(info)) from error


async def _named(context: Context, link: "HeldLink", text: str | None) -> None:
    """Pay for nobody else than was named."""
    from operations.errors import SatboxError

    if text is None or text.upper() == link.address:
        return
    whom = await resolved(context, text, link.address)
    note(context, f"{text} is {whom.name}")
    if whom.address != link.address:
        raise SatboxError("wake_link_invalid", "This wake link is of another wallet than the one named.")


def _how_to_pay(info: Any) -> str:
    if "topup" in info.scopes:
        return f"Add --pay {GIFT} to pay for an hour through this link."
    return f"satbox extend --address {info.address} --seconds 3600 pays for an hour as a gift."


async def _paid(context: Context, values: dict[str, Any], link: "HeldLink | None") -> int:
    return await buy(context, method="sandbox_extend", values={**values, "seconds": context.arguments.pay}, link=link)
