"""Sell calls, and buy them: one route at a time, and one call."""

import contextlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.generic import values_of
from satbox.cli.money.arrival import arriving
from satbox.cli.output import note, show
from satbox.cli.people import for_people
from satbox.cli.terminal_text import raw_output

if TYPE_CHECKING:
    from operations.routes import RouteInput

_ADDRESS = re.compile(r"S[0-9A-Z]{27,41}\Z")


async def set_route(context: Context) -> int:
    """Add a route, put another in the place of one with the same port, path and methods, or take it away."""
    from satbox.client.route_changes import change_route, same_route

    given = context.arguments
    route = _route_of(context)
    async with context.client() as client:
        answer = await change_route(client, given.address, route, is_removed=given.remove)
    ours = None if given.remove else next((one for one in answer.items if same_route(one, route)), None)
    if context.as_json:
        show(context, answer)
        return 0
    document = for_people("routes.list", answer.model_dump())
    if ours is not None:
        del document["called_at"]
    show(context, document)
    if ours is not None:
        print(f"called at {ours.url}")
    return 0


def _route_of(context: Context) -> "RouteInput":
    from pydantic import ValidationError

    from operations.routes import RouteInput

    given = context.arguments
    callers = given.callers or ("list" if given.caller else "anyone")
    if bool(given.caller) != (callers == "list") and not given.remove:
        raise UsageError("--callers list wants at least one --caller ADDRESS, and only that does")
    try:
        return RouteInput(
            port=given.port, path=given.path, methods=sorted({method.upper() for method in given.method or ()}),
            sats=given.sats, callers=callers, addresses=given.caller or [], rate_per_minute=given.rate_per_minute,
            deliver_on=given.deliver_on, wakes=given.wakes, wakes_per_hour=given.wakes_per_hour,
        )  # fmt: skip
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        raise UsageError("; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in faults)) from error


async def list_routes(context: Context) -> int:
    """All of one's own routes, or those of another wallet that one may call. A name may replace the address."""
    from satbox.cli.money.waking import has_agent

    whose = await _whose(context)
    async with context.client(with_agent=whose is None or has_agent(context)) as client:
        answer = await client.routes_list(address=whose)
    document = answer.model_dump()
    show(context, answer if context.as_json else for_people("routes.list", document))
    if not answer.items and not context.as_json:
        mine = ": satbox routes set PORT PATH --sats N sells calls"
        print(f"none{mine if answer.is_whole else ' that are sold to you'}")
    return 0


async def _whose(context: Context) -> str | None:
    """The address that was given, or whose name was; None for one's own."""
    from satbox.cli.money.waking import resolved

    given: str | None = context.arguments.address
    if given is None or _ADDRESS.match(given):
        return given
    found = await resolved(context, given, None)
    note(context, f"{given} is {found.name}")
    return found.address


async def bucket(context: Context) -> int:
    """What is left to pay calls from; nothing is asked that would have to be proven."""
    whose = await _whose(context) or context.load_agent().addresses(context.client_network()).stx
    async with context.client(with_agent=False) as client:
        show(context, await client.bucket_show(address=whose))
    return 0


async def deposit(context: Context) -> int:
    """Pay into one's own bucket or another's. Payers need no registration, so no proof is asked for; a warning says when nobody
    could reclaim the rest.
    """
    from satbox.client.reclaimable import warning_about

    given, values = context.arguments, values_of(context)
    max_sats = given.max_sats if given.max_sats is not None else values["sats"]
    async with context.client() as client:
        if "address" not in values:
            assert client.agent is not None
            values["address"] = client.agent.addresses(client.settings.network).stx
        warning = await warning_about(client, values["address"])
        if warning is not None:
            note(context, warning)
        paid = await client.bucket_deposit(**values, max_sats=max_sats, asset=given.asset, sponsored=given.sponsored)
        payment = paid.payment
        if given.wait or (context.is_live and not context.as_json):
            note(context, f"payment {paid.paymentId} is {payment.status}; waiting until it is confirmed")
            payment = await client.wait_confirmed(paid.paymentId)
    if context.as_json:
        show(context, payment.model_dump(mode="json") | ({} if warning is None else {"warning": warning}))
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
    if given.raw and given.output is not None:
        raise UsageError("the answer goes to stdout (--raw) or into a file (--output), not both")
    data = _body(given.data)
    method = (given.method or ("GET" if data is None else "POST")).upper()
    with contextlib.nullcontext() if given.output is None else arriving(Path(given.output)) as arrival:
        async with context.client() as client:
            answer = await client.call(
                given.url, method=method, headers=dict(given.header or ()), data=data, max_sats=given.max_sats,
                timeout_seconds=given.timeout,
            )  # fmt: skip
        if arrival is not None:
            arrival.write(answer.body)
    if arrival is None and (given.raw or not context.as_json):
        output = raw_output(sys.stdout) if given.raw else sys.stdout.buffer
        output.write(answer.body)
        if sys.stdout.isatty() and answer.body and not answer.body.endswith(b"\n"):
            output.write(b"\n")  # on a terminal what we say is not to stand on the answer's last line
        output.flush()
    if not context.as_json and not given.raw:
        paid = f"paid {answer.sats} sats by {answer.order_id}" if answer.order_id else "nothing paid"
        where = "" if arrival is None else f"; {len(answer.body):,} bytes in {given.output}"
        note(context, f"{answer.status}, {paid}{where}")
    elif not given.raw:
        body = (
            {"body": answer.body.decode("utf-8", "replace")}
            if arrival is None
            else {"output": given.output, "size_bytes": len(answer.body)}
        )
        show(
            context,
            {
                "status": answer.status,
                "sats": answer.sats,
                "order_id": answer.order_id,
                "headers": dict(answer.headers),
                **body,
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
