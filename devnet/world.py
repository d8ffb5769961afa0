"""Everything one devnet consists of, and how it is saved and taken up again."""

import logging

from aiohttp import web

from devnet.chain import STX, Chain, Dirty
from devnet.clock import Clock
from devnet.faults import FaultBoard
from devnet.ledger import Account
from devnet.prices import PriceBoard
from devnet.records import Block, JsonObject, TxRecord
from devnet.registry import Agent, Registry
from devnet.relay import Relay
from devnet.settings import DevnetSettings
from devnet.store import Store

log = logging.getLogger(__name__)


class WrongState(Exception):  # noqa: N818 - the file is fine, the settings are not
    """The state file belongs to another network."""


class World:
    """Chain, relay, registry, prices and faults of one devnet. `commit` saves; replies are sent after it."""

    def __init__(self, settings: DevnetSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.chain = Chain(settings.network)
        self.faults = FaultBoard()
        self.relay = Relay(self.chain, self.faults, settings.sponsor_wallets)
        self.registry = Registry(settings.agents_max)
        self.prices = PriceBoard()
        self._store = None if settings.state_path is None else Store(settings.state_path)
        if self._store is not None:
            self._restore(self._store)
        for address in self.relay.addresses:
            if self.chain.ledger.balance(address) == 0:
                self.chain.faucet(address, STX, settings.sponsor_funds_ustx)
        self.commit()

    def mine(self) -> Block:
        """One block, then what the relay does when one comes; committed."""
        now = self.clock.now()
        block = self.chain.mine(now, self.faults)
        self.relay.dispatch_held(now)
        self.relay.poll(now)
        self.commit()
        return block

    def commit(self) -> None:
        """Saves what changed since the last time, in one transaction."""
        chain, relay, registry = self.chain, self.relay.memory, self.registry
        if self._store is not None:
            self._store.save(
                {
                    "account": {who: self._account(who) for who in chain.ledger.dirty},
                    "tx": {txid: self._tx(txid) for txid in chain.dirty.txids},
                    "block": {str(height): self._block(height) for height in chain.dirty.heights},
                    "relay": {key: relay.document(key) for key in relay.dirty | relay.hand.dirty},
                    "agent": {stx: registry.document(stx) for stx in registry.dirty},
                    "meta": {"chain": self._meta()},
                }
            )
        chain.ledger.dirty.clear()
        chain.dirty = Dirty()
        relay.dirty.clear()
        relay.hand.dirty.clear()
        registry.dirty.clear()

    def close(self) -> None:
        """Saves and closes the state file."""
        self.commit()
        if self._store is not None:
            self._store.close()
            self._store = None

    def _account(self, who: str) -> JsonObject:
        account = self.chain.ledger.accounts[who]
        return {"nonce": account.nonce, "balances": account.balances}

    def _tx(self, txid: str) -> JsonObject | None:
        record = self.chain.find(txid)
        return None if record is None else record.to_document()

    def _block(self, height: int) -> JsonObject | None:
        block = self.chain.block_at(height)
        return None if block is None else block.to_document()

    def _meta(self) -> JsonObject:
        chain = self.chain
        return {
            "network": chain.network.value,
            "minted": chain.ledger.minted,
            "sequence": chain.sequence,
            "forks": chain.forks,
        }

    def _restore(self, store: Store) -> None:
        meta = store.load("meta").get("chain")
        if meta is None:
            return
        chain = self.chain
        if meta["network"] != chain.network.value:
            raise WrongState(f"the state file is of {meta['network']}, the settings say {chain.network.value}")
        minted = meta["minted"]
        assert isinstance(minted, dict)
        chain.ledger.minted = minted
        chain.sequence, chain.forks = int(str(meta["sequence"])), int(str(meta["forks"]))
        for who, document in store.load("account").items():
            balances = document["balances"]
            assert isinstance(balances, dict)
            chain.ledger.accounts[who] = Account(int(str(document["nonce"])), balances)
        blocks = [Block.from_document(int(height), document) for height, document in store.load("block").items()]
        chain.blocks = sorted(blocks, key=lambda block: block.height)
        records = [TxRecord.from_document(txid, document) for txid, document in store.load("tx").items()]
        for record in sorted(records, key=lambda record: record.sequence):
            chain.restore(record)
        self.relay.memory.restore(store.load("relay"))
        for document in store.load("agent").values():
            self.registry.restore(Agent(**document))  # type: ignore[arg-type]
        log.info("devnet carries on at block %d with %d pending", chain.height, len(chain.pending))


WORLD = web.AppKey("world", World)
