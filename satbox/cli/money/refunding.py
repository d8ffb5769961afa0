"""Money back: what can be reclaimed, then with --yes the same with both signatures; and the key that pays."""

from pathlib import Path
from typing import Any

from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.generic import values_of
from satbox.cli.output import note, show
from satbox.cli.short_texts import coin_text


async def reclaim(context: Context) -> int:
    """The quote; with --yes, or with signatures made elsewhere, the reclaim."""
    given, values = context.arguments, values_of(context)
    signed = (given.challenge, given.btc_signature, given.stx_signature)
    if any(signed) and not all(signed):
        raise UsageError("--challenge, --btc-signature and --stx-signature go together")
    async with context.client() as client:
        answer = await client.sandbox_reclaim(**values)
        if answer.status == "quote" and given.yes:
            answer = await client.reclaim(answer)
    if context.as_json:
        show(context, answer)
        return 0
    show(context, {"items": [_row(item.model_dump()) for item in (answer.items or answer.payouts)]})
    for left in answer.left_out:
        note(context, f"{left.payment_id} stays: {_REASONS[left.reason]}")
    if answer.status == "quote":
        note(context, "nothing has moved; satbox reclaim --yes signs this with both keys and does it")
    return 0


_REASONS = {
    "not_final": "it could still leave the chain, try again later",
    "fee": "the fee would eat it up",
    "asset": "this coin is not sent back",
    "more": "too many at once, reclaim again afterwards",
}


def _row(item: dict[str, Any]) -> dict[str, Any]:
    row = {
        "payout": item.get("payout_id") or item["payment_id"],
        "arrives": coin_text(item["asset"], str(item["atomic"])),
        "at": item.get("recipient") or item["origin"],
        "fee_usat": item["fee_usat"],
        "leaves_usat": item["usat"],
    }
    return row | ({"state": item["state"]} if "state" in item else {})


async def payout_key(context: Context) -> int:
    """Make the key that money is paid out from, sealed under the passphrase in a file or the environment."""
    import asyncio
    import secrets

    from relay_client.payouts.keystore import KeyFile, KeyUnavailable, write_key
    from stacks import Network, PrivateKey

    named = context.arguments.passphrase_file
    path = context.home / "keys" / "payout.json"
    key = PrivateKey(secrets.token_bytes(32))
    try:
        passphrase = KeyFile(path, Path(named) if named else None).passphrase()
        await asyncio.to_thread(write_key, path, key, passphrase)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already; a payout key is never overwritten") from error
    except (KeyUnavailable, ValueError) as error:
        raise UsageError(str(error)) from error
    show(context, {network.value: str(key.address(network)) for network in Network} | {"path": str(path)})
    return 0
