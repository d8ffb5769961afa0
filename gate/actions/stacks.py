"""Transactions, Clarity values, addresses and signatures, read and checked for anybody."""

from gate.actions.verifying import report
from gate.context import RequestContext, action
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
