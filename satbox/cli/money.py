"""Paid verbs: say what happens while a payment settles, and never pay twice."""

from satbox.cli.context import Context
from satbox.cli.generic import values_of
from satbox.cli.output import note, progress, show


async def buy(context: Context) -> int:
    """Create or extend: pay, and with --wait see it confirmed."""
    given = context.arguments
    values = values_of(context)
    # Whoever names the sats has agreed to them.
    max_sats = given.max_sats if given.max_sats is not None else values.get("sats")
    async with context.client() as client:
        with progress(context, "settling the payment"):
            paid = await getattr(client, given.command.method)(
                **values, max_sats=max_sats, asset=given.asset, sponsored=given.sponsored
            )
        if given.wait and paid.status != "confirmed":
            note(context, f"payment {paid.paymentId} is {paid.status}")
            with progress(context, "confirming"):
                payment = await client.wait_confirmed(paid.paymentId)
            sandbox = await client.status(address=paid.sandbox.address, fresh=True)
            paid = paid.model_copy(update={"status": payment.status, "payment": payment, "sandbox": sandbox})
    if context.as_json:
        show(context, paid)
    else:
        shown = paid.model_dump(mode="json", include={"status", "paymentId", "message"})
        payment_part = paid.payment.model_dump(mode="json", include={"txid", "asset", "amount"})
        sandbox_part = paid.sandbox.model_dump(
            mode="json", include={"state", "balance_usat", "owed_usat", "seconds_left", "exhausts_at", "runtime_id"}
        )
        show(context, {**shown, **payment_part, **sandbox_part})
    return 0


async def resume(context: Context) -> int:
    """Send open payments again, unchanged."""
    async with context.client() as client:
        with progress(context, "asking after open payments"):
            paid = await client.resume()
    items = [{"paymentId": p.paymentId, "status": p.status, "state": p.sandbox.state} for p in paid]
    show(context, {"resumed": len(items), "items": items})
    return 0
