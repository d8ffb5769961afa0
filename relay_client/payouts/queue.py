"""The payout queue: one payout at a time leaves the payout key, each exactly once.

    ordered ── within limits, or the operator ── nonce reserved (commit) ── signed (commit) ── sent ── seen ── deep
                                                              sent again, the same bytes, until the chain knows ──┘

Every step looks at the chain before it sends or believes a failure. A payout fails only when its own transaction is in a
block, `reorg_depth` deep, and moved nothing, or when the operator denied it before it was signed. Unknown is not failure.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from operations.errors import SatboxError
from relay_client.chain import Chain, ChainPhase, ChainTransaction, ChainUnavailable
from relay_client.payouts import journal
from relay_client.payouts.building import ASSETS, asset_id, sign
from relay_client.payouts.keystore import KeyUnavailable
from relay_client.payouts.limits import KEY_WAITS, USED_ELSEWHERE, PayoutPolicy
from relay_client.payouts.records import PayoutOrder, PayoutReport, PayoutResult, PayoutSink, PayoutState
from relay_client.relay import Accepted, Refused
from relay_client.settlements.schedule import SettlementClock
from stacks import Address, AddressError, Network, PrivateKey
from storage.connection import Store

_log = structlog.get_logger(__name__)
S = PayoutState


def _pass(_step: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class _Sight:
    """The transaction at a payout's nonce: its own, or another's in a block."""

    own: ChainTransaction | None
    other: ChainTransaction | None


class PayoutQueue:
    """One instance owns one store and one payout key. `checkpoint` is told each step, for tests that die there."""

    def __init__(
        self,
        store: Store,
        chain: Chain,
        sink: PayoutSink,
        clock: SettlementClock,
        open_key: Callable[[], PrivateKey],
        network: Network,
        *,
        policy: PayoutPolicy | None = None,
        checkpoint: Callable[[str], None] = _pass,
    ) -> None:
        self._store = store
        self._chain = chain
        self._sink = sink
        self._clock = clock
        self._open_key = open_key
        self._network = network
        self._policy = policy or PayoutPolicy()
        self._checkpoint = checkpoint
        self._key: PrivateKey | None = None
        self._key_problem: tuple[int, str] | None = None
        self._turn = asyncio.Lock()

    # Asked

    async def submit(self, order: PayoutOrder) -> PayoutReport:
        """Take an order, exactly once by its id; durable when this returns. Raises SatboxError for what can't be paid."""
        try:
            is_ours = Address.parse(order.recipient).network is self._network
        except AddressError:
            is_ours = False
        if order.asset not in ASSETS or not is_ours or order.atomic <= 0 or not 0 <= order.fee_usat < order.usat:
            raise SatboxError("internal", "an order that no wallet makes")
        now_ms = self._clock.now_ms()
        return await self._store.run(lambda db: journal.submit(db, order, self._policy, now_ms))

    async def approve(self, payout_id: str) -> PayoutReport:
        """The operator lets it pass. Raises payout_not_found, payout_state, payout_limit."""
        now_ms = self._clock.now_ms()
        return await self._store.run(lambda db: journal.approve(db, payout_id, self._policy, now_ms))

    async def deny(self, payout_id: str) -> PayoutReport:
        """The operator does not; its wallet gets the money back. Raises payout_not_found, payout_state."""
        now_ms = self._clock.now_ms()
        return await self._store.run(lambda db: journal.deny(db, payout_id, now_ms))

    async def of(self, address: str) -> list[PayoutReport]:
        """A wallet's payouts, newest first."""
        return await self._store.run(lambda db: journal.of(db, address))

    async def unfinished(self) -> list[PayoutReport]:
        """All that are not over, oldest first."""
        return await self._store.run(journal.unfinished)

    async def history(self, payout_id: str) -> list[tuple[str, str]]:
        """(state, observation) of every move."""
        return await self._store.run(lambda db: journal.history(db, payout_id))

    # At work

    async def run(self) -> None:
        """Work until cancelled. Trouble with one round is told and does not end the work."""
        while True:
            try:
                await self.tick()
            except ChainUnavailable as error:
                _log.info("payouts wait for the chain", error=str(error)[:200])
            except Exception:  # noqa: BLE001 - a bug in one round must not stop the others
                _log.exception("a round of payouts failed; the next one goes on")
            await asyncio.sleep(self._policy.tick_ms / 1000)

    async def tick(self) -> None:
        """One round of everything: what is out, then the next, then the wallets. Raises ChainUnavailable."""
        async with self._turn:
            try:
                await self._round()
            finally:
                await self._tell()

    async def _round(self) -> None:
        for payout in await self.unfinished():
            match payout.state:
                case S.QUEUED:
                    await self._change(journal.judge, payout.payout_id, self._policy)
                case S.SIGNING:
                    await self._change(journal.unreserve, payout.payout_id)
                case S.BROADCASTING | S.MEMPOOL:
                    await self._follow(payout)
        under_way = await self.unfinished()
        # One at a time: the next nonce is not taken before this one is in a block.
        if any(p.state in (S.BROADCASTING, S.MEMPOOL) and p.block_height is None for p in under_way):
            return
        following = next((payout for payout in under_way if payout.state is S.APPROVED), None)
        if following is not None:
            await self._send(following)

    async def _change(self, change: Callable[..., object], payout_id: str, *more: object) -> None:
        now_ms = self._clock.now_ms()
        await self._store.run(lambda db: change(db, payout_id, *more, now_ms))

    async def _send(self, payout: PayoutReport) -> None:
        key = await self._opened(payout)
        if key is None:
            return
        sender = str(key.address(self._network))
        account = await self._chain.account(sender)
        now_ms = self._clock.now_ms()
        payout_id, nonce = payout.payout_id, account.nonce
        if await self._store.run(lambda db: journal.is_used_elsewhere(db, payout_id, sender, nonce, now_ms)):
            if payout.waits_for != USED_ELSEWHERE:
                _log.error("the payout key was used elsewhere: no payout goes out before one is approved", nonce=nonce)
            return
        self._checkpoint("before_reserving")
        payout = await self._store.run(lambda db: journal.reserve(db, payout.payout_id, sender, account.nonce, now_ms))
        self._checkpoint("after_reserving")
        assert payout.nonce is not None
        signed = sign(payout, key, self._network, payout.nonce, self._policy.network_fee_ustx)
        payout = await self._store.run(lambda db: journal.record_signed(db, payout.payout_id, signed, now_ms))
        self._checkpoint("after_signing")
        await self._broadcast(payout)

    async def _opened(self, payout: PayoutReport) -> PrivateKey | None:
        """The key, opened once; while it can't be, the payout says so and is looked at again later."""
        now_ms = self._clock.now_ms()
        problem = self._key_problem
        tried_ms = self._clock.monotonic_ms()
        if self._key is None and (problem is None or tried_ms >= problem[0] + self._policy.key_retry_ms):
            try:
                self._key = await asyncio.to_thread(self._open_key)
                self._key_problem = None
            except KeyUnavailable as error:
                self._key_problem = problem = (tried_ms, str(error))
                _log.warning("payouts wait for their key", reason=str(error))
        reason = None if self._key is not None else KEY_WAITS
        if reason is not None or payout.waits_for == KEY_WAITS:
            await self._store.run(lambda db: journal.waiting(db, payout.payout_id, reason, now_ms))
        return self._key

    async def _broadcast(self, payout: PayoutReport) -> None:
        data = await self._store.run(lambda db: journal.bytes_of(db, payout.payout_id))
        outcome = await self._chain.broadcast(data)
        self._checkpoint("after_sending")
        now_ms = self._clock.now_ms()
        detail = None if isinstance(outcome, Accepted) else str(outcome)
        if isinstance(outcome, Refused):
            _log.warning("a node refused a payout; it is sent again", payout=payout.payout_id, detail=detail)
        await self._store.run(lambda db: journal.sent(db, payout.payout_id, detail, now_ms))
        if isinstance(outcome, Accepted):
            await self._store.run(lambda db: journal.seen(db, payout.payout_id, None, None, now_ms))
        self._checkpoint("after_answer")

    async def _look(self, payout: PayoutReport) -> _Sight:
        assert payout.txid is not None
        assert payout.sender is not None
        assert payout.nonce is not None
        tx = await self._chain.transaction(payout.txid)
        if tx is not None and tx.phase is not ChainPhase.DROPPED:
            return _Sight(tx, None)
        for candidate in await self._chain.by_nonce(payout.sender, payout.nonce):
            if candidate.txid != payout.txid and candidate.phase in (ChainPhase.SUCCESS, ChainPhase.ABORTED):
                return _Sight(None, candidate)
        return _Sight(None, None)

    async def _follow(self, payout: PayoutReport) -> None:
        sight = await self._look(payout)
        now_ms = self._clock.now_ms()
        run, payout_id, own, other = self._store.run, payout.payout_id, sight.own, sight.other
        if own is None and other is None:
            if payout.block_height is not None:  # it left the chain
                payout = await run(lambda db: journal.seen(db, payout_id, None, "left the chain", now_ms))
            since_ms = None if payout.sent_at_ms is None else now_ms - payout.sent_at_ms
            if since_ms is None or not 0 <= since_ms < self._policy.rebroadcast_ms:  # negative: the clock was set back
                await self._broadcast(payout)
            return
        decisive = own or other
        assert decisive is not None
        if decisive.phase is ChainPhase.PENDING:
            await run(lambda db: journal.seen(db, payout_id, None, None, now_ms))
            return
        height = decisive.block_height or 0
        is_final = await self._chain.tip_height() >= height + self._policy.reorg_depth
        if other is not None:
            if is_final:
                await run(lambda db: journal.displaced(db, payout_id, other.txid, now_ms))
            return
        assert own is not None
        arrived = own.received(
            asset_id=asset_id(payout.asset, self._network), sender=payout.sender or "", recipient=payout.recipient
        )
        if own.phase is ChainPhase.SUCCESS and arrived != payout.atomic:
            # Nothing we know does this: neither paid nor failed until somebody has looked.
            detail = f"the block says that {arrived} arrived"
            await run(lambda db: journal.seen(db, payout_id, height, detail, now_ms))
            return
        payout = await run(lambda db: journal.seen(db, payout_id, height, None, now_ms))
        if not is_final:
            return
        self._checkpoint("before_end")
        if own.phase is ChainPhase.SUCCESS:
            await run(lambda db: journal.confirmed(db, payout_id, height, now_ms))
        else:
            await run(lambda db: journal.failed(db, payout_id, f"chain_{own.status}"[:64], now_ms))
        self._checkpoint("after_end")

    async def _tell(self) -> None:
        for payout in await self._store.run(lambda db: journal.untold(db, self._policy.untold_max)):
            is_paid = payout.state is S.CONFIRMED
            reason = None if is_paid else payout.detail
            try:
                await self._sink.ended(PayoutResult(payout.payout_id, payout.address, is_paid, payout.txid, reason))
            except Exception as error:  # noqa: BLE001 - whatever the wallet's trouble is, it is told again
                _log.warning(
                    "a wallet was not told of its payout yet", payout=payout.payout_id, error=repr(error)[:200]
                )
                continue
            self._checkpoint("after_telling")
            await self._change(journal.told, payout.payout_id)
