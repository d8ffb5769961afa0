"""Paid verbs: say what will be paid and what happens while it settles, and never pay twice."""

from typing import TYPE_CHECKING, Any

from satbox.cli.context import Context
from satbox.cli.generic import values_of
from satbox.cli.output import ProgressLine, note, progress, show
from satbox.cli.people import for_people
from satbox.cli.short_texts import coin_text

if TYPE_CHECKING:
    from operations.sandbox import Paid
    from satbox.agent.paying import ChosenOffer
    from satbox.client import Client
    from satbox.client.wake_links import HeldLink

CONFIRM_SECONDS = 15.0
"""How long a person at a terminal is kept waiting for a confirmation that nobody asked to wait for."""
WAIT_SECONDS = 600.0


def offer_text(offer: "ChosenOffer", *, is_default: bool) -> str:
    """What will be paid, in the coin's own amount."""
    words = f"paying {offer.sats} sats of sBTC"
    if offer.symbol != "sBTC":
        words = f"paying {coin_text(offer.symbol, offer.amount)} for {offer.sats} sats"
    return f"{words} (the service's default; --sats names another)" if is_default else words


async def buy(
    context: Context,
    *,
    method: str | None = None,
    values: dict[str, Any] | None = None,
    link: "HeldLink | None" = None,
) -> int:
    """Create or extend: pay, and see it confirmed: with --wait for as long as it takes, for people for a few seconds.

    `method` and `values` stand in for the verb's own, `link` for a pass.
    """
    given = context.arguments
    values = values_of(context) if values is None else values
    # By naming the sats the user has agreed to them.
    max_sats = given.max_sats if given.max_sats is not None else values.get("sats")
    is_default = not values.keys() & {"sats", "seconds"}
    with progress(context, "asking for an offer") as shown:

        def announce(offer: "ChosenOffer") -> None:
            if context.is_live:
                shown.line(offer_text(offer, is_default=is_default))
            shown.words("settling the payment")

        async with context.client(announce=announce, link=link) as client:
            paid = await getattr(client, method or given.command.method)(
                **values, max_sats=max_sats, asset=given.asset, sponsored=given.sponsored
            )
            if paid.status != "confirmed" and (given.wait or (context.is_live and not context.as_json)):
                paid = await _confirmed(context, client, paid, shown)
    if context.as_json:
        show(context, paid)
    else:
        _show_paid(context, paid)
    return 0


async def _confirmed(context: Context, client: "Client", paid: "Paid", shown: ProgressLine) -> "Paid":
    """The same status, confirmed. Without --wait it may be returned unchanged: the payment is made either way."""
    from operations.errors import SatboxError

    is_asked = bool(context.arguments.wait)
    shown.words(f"payment {paid.status}; waiting until it is confirmed")
    if is_asked and not context.is_live:
        note(context, f"payment {paid.paymentId} is {paid.status}; waiting until it is confirmed")
    try:
        payment = await client.wait_confirmed(
            paid.paymentId, timeout_seconds=WAIT_SECONDS if is_asked else CONFIRM_SECONDS
        )
        sandbox = await client.status(address=paid.sandbox.address, fresh=True)
    except SatboxError as error:
        if is_asked or error.code == "payment_failed":
            raise
        shown.line(f"not confirmed yet; see satbox payment {paid.paymentId}")
        return paid
    return paid.model_copy(update={"status": payment.status, "payment": payment, "sandbox": sandbox})


def _show_paid(context: Context, paid: "Paid") -> None:
    document: dict[str, Any] = {
        "status": paid.status,
        "paymentId": paid.paymentId,
        "message": paid.message,
        "txid": paid.payment.txid,
        "amount": None if paid.payment.amount is None else coin_text(paid.payment.asset, paid.payment.amount),
    }
    sandbox = for_people("sandbox.status", paid.sandbox.model_dump(mode="json"))
    left_out = (
        "reason",
        "size_class",
        "image",
        "deposited_usat",
        "charged_usat",
        "snapshot_digest",
        "pending_payments",
    )
    show(context, document | {name: value for name, value in sandbox.items() if name not in left_out})


async def resume(context: Context) -> int:
    """Send open payments again, unchanged."""
    async with context.client() as client:
        with progress(context, "asking after open payments"):
            paid = await client.resume()
    items = [{"paymentId": p.paymentId, "status": p.status, "state": p.sandbox.state} for p in paid]
    show(context, {"resumed": len(items), "items": items})
    return 0
