"""Whatever is sent, mined, dropped or reorganised: no unit is made or lost, and nonces count what confirmed."""

import contextlib
from collections import Counter

from devnet_twin import Payer
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from devnet.chain import STX, Chain, Rejected
from devnet.records import PENDING, TxRecord
from stacks.network import Network
from stacks.signing import sign_sponsor
from stacks.tokens import sbtc

PAYERS = [Payer(f"conservation {index}") for index in range(3)]
SBTC = sbtc(Network.TESTNET).asset_id
payers = st.sampled_from(PAYERS)


class Whims:
    """Interference drawn from a set of transaction ids' last digits."""

    def __init__(self, held: str, aborted: str, replaced: str) -> None:
        self.held, self.aborted, self.replaced = held, aborted, replaced

    def is_held(self, record: TxRecord) -> bool:
        return record.txid[-1] in self.held

    def forced_abort(self, record: TxRecord) -> str | None:
        return "abort_by_post_condition" if record.txid[-1] in self.aborted else None

    def is_replaced(self, record: TxRecord) -> bool:
        return record.txid[-1] in self.replaced


class Conservation(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.chain = Chain(Network.TESTNET)
        self.now = 1_790_000_000.0
        for payer in PAYERS:
            self.chain.faucet(str(payer.address), STX, 3_000)
            self.chain.faucet(str(payer.address), SBTC, 100)

    @rule(payer=payers, to=payers, amount=st.integers(0, 150), skip=st.integers(-1, 2), fee=st.integers(150, 1_500))
    def pay(self, payer: Payer, to: Payer, amount: int, skip: int, fee: int) -> None:
        nonce = max(0, self.chain.next_nonce(str(payer.address)) + skip)
        kind = payer.pay_stx if amount % 2 else payer.pay_sbtc
        with contextlib.suppress(Rejected):
            self.chain.submit(kind(to.address, amount, nonce, fee=fee).serialize(), self.now)

    @rule(payer=payers, to=payers, sponsor=payers, amount=st.integers(1, 150), fee=st.integers(300, 1_500))
    def pay_sponsored(self, payer: Payer, to: Payer, sponsor: Payer, amount: int, fee: int) -> None:
        nonce = self.chain.next_nonce(str(payer.address))
        sponsor_nonce = self.chain.next_nonce(str(sponsor.address))
        tx = payer.pay_sbtc(to.address, amount, nonce, sponsored=True)
        with contextlib.suppress(Rejected):
            self.chain.submit(sign_sponsor(tx, sponsor.key, fee, sponsor_nonce).serialize(), self.now)

    @rule(held=st.text("0123", max_size=2), aborted=st.text("4567", max_size=2), replaced=st.text("89a", max_size=1))
    def mine(self, held: str, aborted: str, replaced: str) -> None:
        self.now += 1
        self.chain.mine(self.now, Whims(held, aborted, replaced))

    @rule(blocks=st.integers(1, 3), vanish=st.booleans())
    def reorganise(self, blocks: int, vanish: bool) -> None:
        self.chain.reorganise(blocks, vanish=vanish)

    @rule(payer=payers, amount=st.integers(0, 50))
    def faucet(self, payer: Payer, amount: int) -> None:
        self.chain.faucet(str(payer.address), SBTC, amount)

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        if self.chain.pending:
            txid = data.draw(st.sampled_from(sorted(self.chain.pending)))
            self.chain.drop(txid, "dropped_stale_garbage_collect")

    @invariant()
    def units_are_conserved(self) -> None:
        for asset, minted in self.chain.ledger.minted.items():
            assert self.chain.ledger.total(asset) == minted
        for account in self.chain.ledger.accounts.values():
            assert min(account.balances.values(), default=0) >= 0

    @invariant()
    def nonces_count_what_confirmed(self) -> None:
        used: Counter[str] = Counter()
        for block in self.chain.blocks:
            for txid in block.txids:
                used.update(who for who, _ in self.chain.txs[txid].nonce_slots)
        for who, account in self.chain.ledger.accounts.items():
            assert account.nonce == used[who]

    @invariant()
    def a_nonce_has_one_pending_transaction(self) -> None:
        slots = [slot for record in self.chain.pending.values() for slot in set(record.nonce_slots)]
        assert len(slots) == len(set(slots))
        assert all(record.status == PENDING for record in self.chain.pending.values())
        assert set(self.chain.pending) == {t for t, r in self.chain.txs.items() if r.status == PENDING}


TestConservation = Conservation.TestCase
TestConservation.settings = hypothesis_settings(max_examples=30, stateful_step_count=30, deadline=None)
