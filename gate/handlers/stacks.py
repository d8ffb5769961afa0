"""Transactions, Clarity values, addresses and signatures, read and checked for anybody."""

from aiohttp import web

from gate.handlers.verifying import report
from gate.identity.callers import Caller
from gate.identity.handler import Handler
from gate.parts.services import Services
from operations import verification as v
from stacks import Network
from stacks.verification import (
    address_report,
    bitcoin_report,
    clarity_report,
    message_report,
    sip018_report,
    transaction_report,
)


def _network(name: str | None) -> Network | None:
    return None if name is None else Network(name)


async def decode_transaction(
    services: Services, request: web.Request, caller: Caller, data: v.TransactionInput
) -> v.TransactionReport:
    """Read a transaction."""
    return v.TransactionReport.model_validate(await report(services.settings, transaction_report, data.hex))


async def decode_clarity(
    services: Services, request: web.Request, caller: Caller, data: v.ClarityInput
) -> v.ClarityReport:
    """Read a Clarity value."""
    return v.ClarityReport.model_validate(await report(services.settings, clarity_report, data.hex))


async def address(services: Services, request: web.Request, caller: Caller, data: v.AddressInput) -> v.AddressReport:
    """Read an address."""
    return v.AddressReport.model_validate(await report(services.settings, address_report, data.address))


async def verify_sip018(
    services: Services, request: web.Request, caller: Caller, data: v.StructuredInput
) -> v.SignatureReport:
    """Check structured data's signature."""
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


async def verify_message(
    services: Services, request: web.Request, caller: Caller, data: v.MessageInput
) -> v.SignatureReport:
    """Check a plain message's signature."""
    made = await report(
        services.settings, message_report, data.message, data.signature, data.address, _network(data.network)
    )
    return v.SignatureReport.model_validate(made)


async def verify_btc_message(
    services: Services, request: web.Request, caller: Caller, data: v.BitcoinMessageInput
) -> v.BitcoinSignatureReport:
    """Check a Bitcoin address's signature."""
    made = await report(services.settings, bitcoin_report, data.address, data.message, data.signature)
    return v.BitcoinSignatureReport.model_validate(made)


HANDLERS: dict[str, Handler] = {
    "stacks.decode_transaction": decode_transaction,
    "stacks.decode_clarity": decode_clarity,
    "stacks.address": address,
    "stacks.verify_sip018": verify_sip018,
    "stacks.verify_message": verify_message,
    "stacks.verify_btc_message": verify_btc_message,
}
