"""What each operation does at the gate, by operation name."""

from gate.handlers import (
    contexts,
    data,
    folders,
    git,
    hashing,
    identity,
    money,
    payments,
    processes,
    sandbox,
    secrets,
    service,
    snapshots,
    stacks,
    usage,
)
from gate.routing import Handler

HANDLERS: dict[str, Handler] = {
    **identity.HANDLERS,
    **payments.HANDLERS,
    **sandbox.HANDLERS,
    **data.HANDLERS,
    **folders.HANDLERS,
    **processes.HANDLERS,
    **contexts.HANDLERS,
    **snapshots.HANDLERS,
    **git.HANDLERS,
    **secrets.HANDLERS,
    **usage.HANDLERS,
    **money.HANDLERS,
    **service.HANDLERS,
    **stacks.HANDLERS,
    **hashing.HANDLERS,
}

__all__ = ["HANDLERS"]
