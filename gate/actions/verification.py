"""Transactions, Clarity values, addresses, signatures and hashes, read and checked for anybody.

It runs on a thread of its own: callers who ask for much of it wait for one another and delay no payment.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gate.context import RequestContext, action
from gate.settings import GateSettings
from operations import verification as v
from operations.errors import SatboxError
from stacks import AddressError, Network, StacksError
from stacks.verification import (
    UnusableInput,
    address_report,
    bitcoin_report,
    clarity_report,
    hash_input,
    hash_report,
    message_report,
    sip018_report,
    transaction_report,
)

WAITING_MAX = 16
"""Reports in progress at once; each takes milliseconds, and at most a few tenths of a second for the largest inputs."""

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="verifying")
_waiting = 0


async def report(settings: GateSettings, make: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """A report of `stacks.verification`; its errors in the service's words, `overloaded` when too many wait."""
    global _waiting
    if not settings.verifies_for_anybody:
        raise SatboxError("not_found", "This service does not verify for others.")
    if _waiting >= WAITING_MAX:
        raise SatboxError("overloaded", retry_after=1)
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_thread, make, *arguments)
    except UnusableInput as error:
        raise SatboxError(
            "invalid_request", details={"fields": [{"field": error.field, "problem": error.problem}]}
        ) from error
    except AddressError as error:
        raise SatboxError("stx_address_invalid", details={"reason": str(error)}) from error
    except StacksError as error:
        raise SatboxError("bytes_invalid", details={"reason": error.code, "problem": str(error)}) from error
    finally:
        _waiting -= 1


@action("hashing.digest")
async def digest(context: RequestContext, data: v.HashInput) -> v.HashReport:
    """Hash text or bytes."""
    services = context.services
    made = await report(services.settings, lambda: hash_report(data.algorithm, hash_input(data.data), data.encoding))
    return v.HashReport.model_validate(made)


def _network(name: str | None) -> Network | None:
    return None if name is None else Network(name)


@action("stacks.decode_transaction")
async def decode_transaction(context: RequestContext, data: v.TransactionInput) -> v.TransactionReport:
    """Read a transaction."""
    services = context.services
    return v.TransactionReport.model_validate(await report(services.settings, transaction_report, data.hex))


@action("stacks.decode_clarity")
async def decode_clarity(context: RequestContext, data: v.ClarityInput) -> v.ClarityReport:
    """Read a Clarity value."""
    services = context.services
    return v.ClarityReport.model_validate(await report(services.settings, clarity_report, data.hex))


@action("stacks.address")
async def address(context: RequestContext, data: v.AddressInput) -> v.AddressReport:
    """Read an address."""
    services = context.services
    return v.AddressReport.model_validate(await report(services.settings, address_report, data.address))


@action("stacks.verify_sip018")
async def verify_sip018(context: RequestContext, data: v.StructuredInput) -> v.SignatureReport:
    """Check structured data's signature."""
    services = context.services
    made = await report(
        services.settings,
        sip018_report,
        data.domain_hex,
        data.message_hex,
        data.signature,
        data.address,
        _network(data.network),
    )
    return v.SignatureReport.model_validate(made)


@action("stacks.verify_message")
async def verify_message(context: RequestContext, data: v.MessageInput) -> v.SignatureReport:
    """Check a plain message's signature."""
    services = context.services
    made = await report(
        services.settings, message_report, data.message, data.signature, data.address, _network(data.network)
    )
    return v.SignatureReport.model_validate(made)


@action("stacks.verify_btc_message")
async def verify_btc_message(context: RequestContext, data: v.BitcoinMessageInput) -> v.BitcoinSignatureReport:
    """Check a Bitcoin address's signature."""
    services = context.services
    made = await report(services.settings, bitcoin_report, data.address, data.message, data.signature)
    return v.BitcoinSignatureReport.model_validate(made)
