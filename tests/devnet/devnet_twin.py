"""A devnet over real HTTP with a clock of its own, and payers who sign for it."""

import hashlib
from dataclasses import dataclass

from aiohttp.test_utils import TestClient

from stacks.c32 import Address
from stacks.keys import PrivateKey
from stacks.network import Network
from stacks.signing import Sender, sign_origin, sip010_transfer, token_transfer
from stacks.tokens import sbtc
from stacks.transaction import Transaction

STX_FUNDS, SBTC_FUNDS = 10_000_000, 1_000_000
SERVICE_NAME = "service"


class ManualClock:
    """Time that moves when told to; waiting moves it."""

    def __init__(self) -> None:
        self.seconds = 1_790_000_000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@dataclass(frozen=True)
class Payer:
    """A named key pair on one network."""

    name: str
    network: Network = Network.TESTNET

    @property
    def key(self) -> PrivateKey:
        return PrivateKey(hashlib.sha256(f"devnet test {self.name}".encode()).digest())

    @property
    def address(self) -> Address:
        return self.key.address(self.network)

    def pay_stx(self, to: Address, amount: int, nonce: int, *, fee: int = 400, sponsored: bool = False) -> Transaction:
        sender = Sender(self.key.public_key, self.network, nonce, 0 if sponsored else fee, sponsored)
        return sign_origin(token_transfer(sender, to, amount, "x402:test"), self.key)

    def pay_sbtc(self, to: Address, amount: int, nonce: int, *, fee: int = 600, sponsored: bool = False) -> Transaction:
        sender = Sender(self.key.public_key, self.network, nonce, 0 if sponsored else fee, sponsored)
        return sign_origin(sip010_transfer(sender, sbtc(self.network), to, amount, "x402:test"), self.key)


@dataclass(frozen=True)
class Twin:
    """A running devnet."""

    client: TestClient
    clock: ManualClock
    network: Network = Network.TESTNET

    async def get(self, path: str, status: int = 200) -> dict:
        async with self.client.get(path) as reply:
            assert reply.status == status, await reply.text()
            return await reply.json()

    async def post(self, path: str, body: object, status: int = 200) -> dict:
        async with self.client.post(path, json=body) as reply:
            assert reply.status == status, await reply.text()
            return await reply.json()

    async def fund(self, who: Payer, stx: int = STX_FUNDS, sbtc_units: int = SBTC_FUNDS) -> None:
        await self.post("/devnet/faucet", {"address": str(who.address), "stx": stx, "sbtc": sbtc_units})

    async def broadcast(self, tx: Transaction, status: int = 200) -> str | dict:
        raw = tx.serialize()
        headers = {"Content-Type": "application/octet-stream"}
        async with self.client.post("/stacks/v2/transactions", data=raw, headers=headers) as reply:
            body = await reply.json()
            assert reply.status == status, body
            return body

    async def mine(self, count: int = 1) -> dict:
        return await self.post("/devnet/mine", {"count": count})

    async def tx(self, txid: str, status: int = 200) -> dict:
        return await self.get(f"/stacks/extended/v1/tx/0x{txid}", status)

    async def fault(self, kind: str, **parameters: object) -> dict:
        return await self.post("/devnet/faults", {"kind": kind, **parameters}, 201)

    async def settle(
        self,
        tx: Transaction,
        to: Address,
        amount: int,
        asset: str = "SBTC",
        *,
        status: int = 200,
        identifier: str | None = None,
    ) -> dict:
        payload: dict[str, object] = {"x402Version": 2, "payload": {"transaction": tx.serialize().hex()}}
        if identifier is not None:
            payload["extensions"] = {"payment-identifier": {"info": {"id": identifier}}}
        requirements = {
            "scheme": "exact",
            "network": self.network.caip2,
            "payTo": str(to),
            "amount": str(amount),
            "asset": asset,
            "maxTimeoutSeconds": 300,
        }
        body = {"x402Version": 2, "paymentPayload": payload, "paymentRequirements": requirements}
        return await self.post("/relay/settle", body, status)

    async def balance(self, who: Address) -> dict[str, int]:
        body = await self.get(f"/stacks/extended/v1/address/{who}/balances")
        token = body["fungible_tokens"].get(sbtc(self.network).asset_id, {"balance": "0"})
        return {"stx": int(body["stx"]["balance"]), "sbtc": int(token["balance"])}

    async def conserved(self) -> bool:
        return (await self.get("/devnet/status"))["conserved"]


ALICE, BOB, SERVICE = Payer("alice"), Payer("bob"), Payer(SERVICE_NAME)
