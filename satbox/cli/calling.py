"""Sell calls, and buy them: one route at a time, and one call."""

import sys
from pathlib import Path
from typing import Any

from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.generic import values_of
from satbox.cli.output import note, show
from satbox.cli.people import for_people


async def set_route(context: Context) -> int:
    """Add a route, put another in the place of one with the same port, path and methods, or take it away."""
    from operations.routes import RouteInput

    given = context.arguments
    methods = sorted({method.upper() for method in given.method or ()})
    async with context.client() as client:
        address = given.address or (client.agent and client.agent.addresses(client.settings.network).stx)
        if not address:
            raise UsageError("whose routes? give --address, or an agent")
        status = await client.routes_list(address)
        kept = [
            one
            for one in status.items
            if (one.port, one.path, sorted(one.methods)) != (given.port, given.path, methods)
        ]
        if any(one.callers == "list" for one in kept):
            raise UsageError(
                "a route for listed callers is there, and its list is not shown to anybody",
                "Set all routes at once: client.routes_set(routes=[...]).",
            )
        routes = [RouteInput.model_validate(_again(one.model_dump())) for one in kept]
        if not given.remove:
            routes.append(
                RouteInput(
                    port=given.port, path=given.path, methods=methods, sats=given.sats, callers=given.callers,
                    addresses=given.caller or [], rate_per_minute=given.rate_per_minute, deliver_on=given.deliver_on,
                    wakes=given.wakes, wakes_per_hour=given.wakes_per_hour,
                )
            )  # fmt: skip
        answer = await client.routes_set(address=given.address, routes=routes)
    show(context, answer if context.as_json else for_people("routes.list", answer.model_dump()))
    return 0


def _again(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name != "url"}


async def deposit(context: Context) -> int:
    """Into one's own bucket, or into another. Whoever pays need not be registered anywhere, so that nothing is asked that would
    have to be proven.
    """
    given, values = context.arguments, values_of(context)
    max_sats = given.max_sats if given.max_sats is not None else values["sats"]
    async with context.client() as client:
        if "address" not in values:
            assert client.agent is not None
            values["address"] = client.agent.addresses(client.settings.network).stx
        paid = await client.bucket_deposit(**values, max_sats=max_sats, asset=given.asset, sponsored=given.sponsored)
        payment = paid.payment
        if given.wait or (context.is_live and not context.as_json):
            note(context, f"payment {paid.paymentId} is {payment.status}; waiting until it is confirmed")
            payment = await client.wait_confirmed(paid.paymentId)
    if context.as_json:
        show(context, payment)
    else:
        show(
            context,
            {
                "bucket_of": values["address"],
                "payment": payment.paymentId,
                "status": payment.status,
                "credited_usat": payment.credited_usat or None,
            },
        )
    return 0


async def call(context: Context) -> int:
    """One call; exit 1 when the server inside answers with an error."""
    given = context.arguments
    data = _body(given.data)
    method = (given.method or ("GET" if data is None else "POST")).upper()
    async with context.client() as client:
        answer = await client.call(
            given.url, method=method, headers=dict(given.header or ()), data=data, max_sats=given.max_sats
        )
    if given.raw or not context.as_json:
        sys.stdout.buffer.write(answer.body)
        sys.stdout.buffer.flush()
        if not given.raw:
            note(
                context,
                f"{answer.status}, paid {answer.sats} sats" + (f" by {answer.order_id}" if answer.order_id else ""),
            )
    else:
        show(
            context,
            {
                "status": answer.status,
                "sats": answer.sats,
                "order_id": answer.order_id,
                "headers": dict(answer.headers),
                "body": answer.body.decode("utf-8", "replace"),
                "receipt": answer.receipt,
            },
        )
    return 1 if answer.status >= 400 else 0


def _body(text: str | None) -> bytes | None:
    if text is None:
        return None
    if text == "-":
        return sys.stdin.buffer.read()
    return Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
