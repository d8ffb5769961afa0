"""What each operation does at the gate, by operation name."""

from gate.handlers import (
    budget,
    checkpoints,
    contexts,
    data,
    disputes,
    folders,
    git,
    handles,
    hashing,
    identity,
    ledger,
    money,
    oracle,
    payments,
    processes,
    refunds,
    routes,
    sandbox,
    secrets,
    service,
    snapshots,
    stacks,
    usage,
    wake_links,
)
from gate.handlers.priced import priced
from gate.routing import Handler

HANDLERS: dict[str, Handler] = {
    **identity.HANDLERS,
    **payments.HANDLERS,
    **oracle.HANDLERS,
    **sandbox.HANDLERS,
    **data.HANDLERS,
    **folders.HANDLERS,
    **processes.HANDLERS,
    **contexts.HANDLERS,
    **snapshots.HANDLERS,
    **git.HANDLERS,
    **secrets.HANDLERS,
    **usage.HANDLERS,
    **budget.HANDLERS,
    **money.HANDLERS,
    **ledger.HANDLERS,
    **checkpoints.HANDLERS,
    **disputes.HANDLERS,
    **handles.HANDLERS,
    **wake_links.HANDLERS,
    **refunds.HANDLERS,
    **routes.HANDLERS,
    **service.HANDLERS,
    **{name: priced(name, handler) for name, handler in stacks.HANDLERS.items()},
    **{name: priced(name, handler) for name, handler in hashing.HANDLERS.items()},
}

__all__ = ["HANDLERS"]
