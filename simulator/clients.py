"""Who uses the service: agents that pay, agents that would rather not, and the requests they make at a gate."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from dataclasses import replace

from actors.system import ActorSystem
from actors.view import View
from actors.wallet import commands as c
from actors.wallet.meters import Budget
from actors.wallet.state import Phase, Plan, WalletState
from operations.errors import SatboxError
from relay_client.chain import CallView
from relay_client.settlements import Presentation
from relay_client.settlements.journal import payment_id_of
from relay_client.verify import VerifiedPayment
from simulator.auditor import Promise
from simulator.callers import Callers
from simulator.chain import Transaction
from simulator.network import LostError
from simulator.service import Service
from simulator.wallets import Signed, Wallet
from stacks import ContractCall, Network, PrivateKey, decode_transaction, sbtc
from stacks.clarity import serialize
from stacks.signing import Sender, sign_origin, sip010_transfer

USAT = 1_000_000
RATES = {"nano": 100_003, "small": 1_000_007, "medium": 6_999_997}
_KEY = PrivateKey(bytes(31) + b"\x07")
_PAY_TO = _KEY.public_key.address(Network.TESTNET)
_SBTC = sbtc(Network.TESTNET)
UNKNOWN = frozenset({"internal", "timeout", "overloaded"})


class Clients:
    """Actions of clients, each a request at one of the gates."""

    def __init__(self, service: Service, wallets: int) -> None:
        self.service = service
        self.rng = service.rng
        self.system = ActorSystem(service)
        self.wallets = [Wallet(f"ST{number:05d}SIMULATED{number * 7919:020d}") for number in range(wallets)]
        self._numbers = itertools.count(1)
        self.requests = 0
        self.refusals: dict[str, int] = {}
        self.callers = Callers(service, self.wallets, self.request)

    # Signing

    def sign(self, payer: Wallet, address: str, purpose: str, sats: int, *, nonce: int | None = None) -> Signed:
        """A payment by `payer` for the wallet at `address`. The auditor records it."""
        rng, chain = self.rng, self.service.chain
        if nonce is None and rng.random() < 0.9:  # as a wallet does: it asks the chain
            waiting = [tx.nonce + 1 for tx in chain.mempool.values() if tx.origin == payer.address]
            payer.nonce = max([chain.nonces.get(payer.address, 0), *waiting])
        taken = payer.nonce if nonce is None else nonce
        if nonce is None:
            payer.nonce += 1
        number = next(self._numbers)
        sponsored = rng.random() < 0.2
        call = CallView("contract_call")
        if sponsored:
            sender = Sender(_KEY.public_key, Network.TESTNET, number, 0, True)
            made = sign_origin(sip010_transfer(sender, _SBTC, _PAY_TO, sats, str(number)), _KEY)
            raw = made.serialize()
            payload = decode_transaction(raw).payload
            assert isinstance(payload, ContractCall)
            arguments = tuple(serialize(argument).hex() for argument in payload.arguments)
            call = CallView("contract_call", str(payload.contract), payload.function, arguments)
        else:
            raw = f"{payer.address} {taken} {number}".encode()
        identity = hashlib.sha256(b"origin" + raw).hexdigest()
        txid = hashlib.sha256(raw).hexdigest()
        payment = VerifiedPayment(
            identity, payer.address, taken, 0x80000000, "sBTC", "sBTC", f"{_SBTC}::sbtc-token", sats, str(_PAY_TO),
            sats * USAT, USAT, 1, None, None, sponsored, sponsored, None if sponsored else txid, 1000, b"", raw,
        )  # fmt: skip
        tx = Transaction(txid, payer.address, taken, sponsored, payment, call)
        slow = rng.random()
        if slow < 0.15:
            tx.not_before = chain.now() + rng.choice((60, 300, 900, 4_000))
        tx.aborts = rng.random() < 0.03
        chain.signed[raw] = tx
        signed = Signed(payment, tx, address, purpose)
        self.service.auditor.promise(
            signed.payment_id, Promise(address, payment.usat, lambda: identity in chain.ever_confirmed)
        )
        payer.last = signed
        payer.signed.append(signed)
        del payer.signed[:-8]
        return signed

    def replace(self, payer: Wallet) -> None:
        """Another transaction with the nonce of the last payment, straight to a node."""
        last = payer.last
        if last is None or last.tx.block is not None:
            return
        txid = hashlib.sha256(f"replacement {next(self._numbers)}".encode()).hexdigest()
        self.service.chain.submit(
            Transaction(txid, payer.address, last.payment.nonce, False, None, CallView("token_transfer"))
        )

    def fill_gaps(self) -> None:
        """What an agent does about a nonce that went nowhere: something else with it, or all its later ones wait for ever."""
        chain = self.service.chain
        for wallet in self.wallets:
            waiting = {tx.nonce for tx in chain.mempool.values() if tx.origin == wallet.address}
            for nonce in range(chain.nonces.get(wallet.address, 0), max(waiting, default=0)):
                if nonce not in waiting:
                    txid = hashlib.sha256(f"filler {next(self._numbers)}".encode()).hexdigest()
                    call = CallView("token_transfer")
                    chain.submit(Transaction(txid, wallet.address, nonce, False, None, call))

    # Requests

    async def pay(self, signed: Signed, holder: Wallet, rate_class: str) -> None:
        """What a gate does with a paid request: ask the wallet, present the payment. Returns whatever happens."""
        gate = self.rng.choice(self.service.gates)
        rate = RATES[rate_class]
        self.service.auditor.calls.signed_otherwise.add(signed.payment_id)
        if signed.purpose == "create":
            self.service.auditor.allow_rate(signed.address, rate)

        async def at_gate() -> None:
            plan = Plan(rate_class) if signed.purpose == "create" else None
            prepare = c.Prepare(signed.purpose, plan, rate, payment_id_of(signed.payment.identity))
            await self.system.prepare(signed.address, prepare)
            settlements = self.service.settlements
            if settlements is None:
                raise LostError("settlements")
            cap = rate * (self.service.policy.grace_cap_ms // 1000) if rate else None
            shown = Presentation(
                signed.payment, signed.address, signed.purpose, "body", holder.address, grant_max_usat=cap
            )
            await self.service.network.call(
                self.service.settling, lambda: settlements.present(shown), timeout_seconds=40.0
            )

        await self.request(lambda: self.service.network.call(gate, at_gate, timeout_seconds=90.0))

    async def ask(self, address: str, command: c.Command) -> View | None:
        """Any other request."""
        gate = self.rng.choice(self.service.gates)
        made: list[View] = []

        async def at_gate() -> None:
            made.append(await self.system.ask(address, command))

        await self.request(lambda: self.service.network.call(gate, at_gate))
        return made[0] if made else None

    async def request(self, work: object) -> None:
        """Counts how it went."""
        self.requests += 1
        try:
            await work()  # type: ignore[operator]
        except LostError:
            self._count("lost")
        except TimeoutError:
            self._count("left")
        except SatboxError as error:
            self._count(error.code)

    def _count(self, code: str) -> None:
        self.refusals[code] = self.refusals.get(code, 0) + 1

    # What agents do

    async def act(self) -> None:
        """One action of one agent."""
        wallet = self.rng.choice(self.wallets)
        if wallet.busy:
            return
        wallet.busy = True
        try:
            await self._act(wallet)
        finally:
            wallet.busy = False

    async def _act(self, wallet: Wallet) -> None:
        rng, books = self.rng, self.service.auditor.books.get(wallet.address)
        state = books.state if books else None
        chance = rng.random()
        if state is None or not state.is_planned or (state.phase in (Phase.NONE, Phase.REAPED) and chance < 0.4):
            kind = rng.choice(tuple(RATES))
            sats = max(1, RATES[kind] * rng.choice((1, 30, 120, 600, 3_000)) // USAT)
            await self.pay(self.sign(wallet, wallet.address, "create", sats), wallet, kind)
            return
        kind = state.plan.size_class
        sats = max(1, state.rate_usat_per_second * rng.choice((1, 30, 60, 300, 1_000)) // USAT)
        actions = (
            (30, lambda: self.pay(self.sign(wallet, wallet.address, "extend", sats), wallet, kind)),
            (10, lambda: self._repeat(wallet, kind)),
            (6, lambda: self._two_wallets(wallet, sats, kind)),
            (6, lambda: self._two_gates(wallet, sats, kind)),
            (6, lambda: self._gift(wallet, sats, kind)),
            (5, lambda: self._same_nonce(wallet, sats, kind)),
            (8, lambda: self._replaced(wallet, sats, kind)),
            (8, lambda: self.ask(wallet.address, c.Wake())),
            (6, lambda: self.ask(wallet.address, c.Reap(destroy=rng.random() < 0.2))),
            (6, lambda: self.ask(wallet.address, c.Pause(rng.random() < 0.6))),
            (4, lambda: self._rate(wallet, kind)),
            (5, lambda: self.ask(wallet.address, c.Checkpoint())),
            (20, lambda: self._use(state)),
            (40, lambda: self.callers.act(wallet, state.accounts.bucket)),
            (6, lambda: self.callers.on_chain(wallet, self.sign(wallet, wallet.address, "extend", sats))),
            (3, lambda: self.ask(wallet.address, self.callers.key_command(wallet))),
            (3, lambda: self._budget(wallet, state.rate_usat_per_second)),
        )
        (chosen,) = rng.choices([action for _, action in actions], [weight for weight, _ in actions])
        await chosen()  # type: ignore[no-untyped-call]

    async def _use(self, state: WalletState) -> None:
        """The sandbox sends and fetches."""
        if state.runtime is not None and state.runtime.is_healthy:
            self.service.machine.use(
                state.runtime.runtime_id, "egress", self.rng.choice((13, 70_000, 9_000_001, 3 * 10**8))
            )
        await asyncio.sleep(0)

    async def _budget(self, wallet: Wallet, rate: int) -> None:
        """Sometimes tight, mostly none."""
        caps = self.rng.choice(((), (), (("total", rate * 1800),), (("egress", 2_000_000),), (("clock", rate * 600),)))
        await self.ask(wallet.address, c.SetBudget(Budget(caps)))

    async def _repeat(self, wallet: Wallet, kind: str) -> None:
        """A client that never heard an answer presents the same bytes again."""
        if wallet.signed:
            await self.pay(self.rng.choice(wallet.signed), wallet, kind)

    async def _two_wallets(self, wallet: Wallet, sats: int, kind: str) -> None:
        """The same payment for two wallets at once: it counts for one of them."""
        other = self.rng.choice(self.wallets)
        mine = self.sign(wallet, wallet.address, "extend", sats)
        theirs = replace(mine, address=other.address)
        promise = self.service.auditor.promises[mine.payment_id]
        self.service.auditor.promise(mine.payment_id, replace(promise, address=f"{wallet.address} {other.address}"))
        await asyncio.gather(self.pay(mine, wallet, kind), self.pay(theirs, other, kind))

    async def _two_gates(self, wallet: Wallet, sats: int, kind: str) -> None:
        signed = self.sign(wallet, wallet.address, "extend", sats)
        await asyncio.gather(*(self.pay(signed, wallet, kind) for _ in range(3)))

    async def _gift(self, wallet: Wallet, sats: int, kind: str) -> None:
        other = self.rng.choice(self.wallets)
        await self.pay(self.sign(wallet, other.address, "extend", sats), wallet, kind)

    async def _same_nonce(self, wallet: Wallet, sats: int, kind: str) -> None:
        """Two payments of which one can ever confirm."""
        first = self.sign(wallet, wallet.address, "extend", sats)
        second = self.sign(wallet, wallet.address, "extend", sats + 1, nonce=first.payment.nonce)
        await asyncio.gather(self.pay(first, wallet, kind), self.pay(second, wallet, kind))

    async def _replaced(self, wallet: Wallet, sats: int, kind: str) -> None:
        """Taken for a receipt, then replaced."""
        signed = self.sign(wallet, wallet.address, "extend", sats)
        signed.tx.not_before = self.service.chain.now() + 60
        await self.pay(signed, wallet, kind)
        self.replace(wallet)

    async def _rate(self, wallet: Wallet, kind: str) -> None:
        rate = RATES[kind] * self.rng.choice((1, 2, 3))
        self.service.auditor.allow_rate(wallet.address, rate)
        await self.ask(wallet.address, c.SetRate(rate))
