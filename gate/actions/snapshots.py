"""Snapshots of a wallet's workspace."""

from actors.view import View, iso
from actors.wallet.commands import Restore
from actors.wallet.state import Phase
from gate.actions.sandbox import STARTING, STOPPING, shown, until_settled
from gate.context import RequestContext, action
from gate.parts.services import Services
from gate.reach.reaching import Reach, told
from operations import snapshots as s
from operations.errors import SatboxError
from operations.models import Done, Target
from operations.sandbox import SandboxStatus
from sandboxes.protocol import SnapshotInfo


async def _wallet(services: Services, address: str) -> View:
    view = await services.views.get(address, fresh=True)
    if not view.state.exists:
        raise SatboxError("wallet_not_found")
    return view


def _shown(info: SnapshotInfo, current: str | None) -> s.Snapshot:
    created = iso(info.created_wall_ms) if info.created_wall_ms else None
    return s.Snapshot(
        digest=info.digest, name=info.name, size_bytes=info.size_bytes, created_at=created,
        current=info.digest == current, skipped=info.skipped, skipped_examples=list(info.skipped_examples),
    )  # fmt: skip


@action("snapshots.create")
async def create(context: RequestContext, data: s.SnapshotInput) -> s.Snapshot:
    """Keep the running workspace."""
    services, caller = context.services, context.caller
    async with Reach(services, caller.owned(data.address)) as (node, runtime_id):
        return _shown(await node.snapshot(runtime_id, data.name), None)


@action("snapshots.list")
async def listing(context: RequestContext, data: Target) -> s.SnapshotList:
    """All of them."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    view = await _wallet(services, address)
    with told():
        found = await services.nodes.for_wallet(view.state).snapshots(address)
    return s.SnapshotList(items=[_shown(info, view.state.snapshot_digest) for info in found])


@action("snapshots.restore")
async def restore(context: RequestContext, data: s.DigestInput) -> SandboxStatus:
    """Go on from it; answers once it runs again, or with what the next start will take."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    view = await _wallet(services, address)
    with told():
        found = await services.nodes.for_wallet(view.state).snapshots(address)
    if data.digest not in [info.digest for info in found]:
        raise SatboxError("snapshot_not_found")
    view = await services.system.ask(address, Restore(data.digest))
    view = await until_settled(services, address, view, STARTING | STOPPING)
    if view.state.phase is Phase.REAPED and view.state.reason == "start_failed":
        raise SatboxError("start_failed")
    return shown(services, view)


@action("snapshots.delete")
async def delete(context: RequestContext, data: s.DigestInput) -> Done:
    """Give it up. The one a resting wallet would start from stays: its workspace would be gone."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    view = await _wallet(services, address)
    if view.state.snapshot_digest == data.digest and view.state.runtime is None:
        raise SatboxError("snapshot_in_use")
    with told():
        await services.nodes.for_wallet(view.state).drop_snapshot(address, data.digest)
    return Done()
