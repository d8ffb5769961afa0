"""The async client."""

import asyncio
import base64
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from operations import folders as f
from operations import refunds as r
from operations.errors import SatboxError
from operations.identity import GatePass
from operations.models import Scope
from operations.reclaim_terms import Terms, terms_text
from operations.sandbox import Event, Paid, PaymentStatus, SandboxStatus
from satbox.agent.journal import FileJournal, Journal, MemoryJournal, OpenPayment
from satbox.agent.keystore import Agent
from satbox.agent.local_paths import local_path
from satbox.agent.paying import Limits, NoncesAndFeesApi, Payer
from satbox.agent.signing import Expected, sign_challenge
from satbox.client._generated import Operations
from satbox.client.answers import HttpResponse, error_of, model_of
from satbox.client.attached import Attached
from satbox.client.caller import RequestSender
from satbox.client.calls import Output, PaymentTerms, Upload
from satbox.client.paid_calls import ANSWER_SECONDS, CallAnswer, call
from satbox.client.passes import PassCache
from satbox.client.purchase import Announce, PurchaseClock, Purchases
from satbox.client.requests import request_for
from satbox.client.settings import DEFAULT_GATE, ClientSettings
from satbox.client.streams import ExecEvent, LogEvent, Streams
from satbox.client.transport import HttpTransport
from satbox.client.wake_links import HeldLink, read_link

POLL_SECONDS = 0.5
POLL_SECONDS_MIN = 0.05
POLL_SECONDS_MAX = 5.0
_FAILED = frozenset({"failed", "replaced", "not_found"})


class Client(Operations):
    """One agent's way to one gate: proves by itself, pays by itself within `max_sats`, never pays twice for one request.

    Everything that goes wrong is a SatboxError; branch on its `code`. Besides the gate's codes there are `unreachable`,
    `max_sats_exceeded` and `ambiguous` (a payment was sent and nobody said what became of it: repeat the call, or `resume`).

    `wake_link` (the URL or its token) stands in place of a pass where links are taken: wake, extend and status of its wallet.
    `api_key` (`sb_...`) stands in place of a pass for what the key's scopes allow, and pays for calls from its wallet's bucket.
    """

    def __init__(
        self,
        gate: str | ClientSettings = DEFAULT_GATE,
        *,
        agent: Agent | None = None,
        wake_link: str | HeldLink | None = None,
        api_key: str | None = None,
        now_seconds: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        announce: Announce | None = None,
    ) -> None:
        if isinstance(wake_link, str):
            wake_link = read_link(wake_link)
        self.settings = gate if isinstance(gate, ClientSettings) else ClientSettings(gate=gate)
        self.agent = agent
        self._now = now_seconds
        self._sleep = sleep
        self._transport = HttpTransport(self.settings.gate_url, self.settings.timeouts)
        folder = agent.folder if agent is not None else None
        passes = PassCache(
            None if folder is None else folder / "passes.json",
            f"{self.settings.gate_url} {self.settings.network.value}",
            now_seconds,
        )
        self._passes = passes
        self._proving = asyncio.Lock()
        self._caller = RequestSender(
            self.settings,
            self._transport,
            passes,
            None if agent is None else self._renewed,
            None if wake_link is None else wake_link.token,
            api_key,
        )
        self.api_key = api_key
        self._streams = Streams(self._caller, self.settings.timeouts, sleep)
        journal: Journal = MemoryJournal() if folder is None else FileJournal(folder)
        self._purchases = Purchases(
            gate=str(self.settings.gate_url),
            network=self.settings.network,
            journal=journal,
            signer=self._payer(),
            send=self._send_paid,
            look_up=self.payment_status,
            look_at=self._sandbox_of,
            around=PurchaseClock(now_seconds, sleep),
            announce=announce,
        )

    def _payer(self) -> Payer | None:
        if self.agent is None:
            return None
        chain = NoncesAndFeesApi(self.settings.stacks_api_url, self._transport.session)
        return Payer(self.agent.stacks_key, chain, lambda: f"x402:{secrets.token_urlsafe(18)}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    # Identity

    async def prove(self, *, scope: Scope = "owner") -> GatePass:
        """Prove the agent's keys: get a challenge, check and sign it, trade it for a pass, and keep that."""
        if self.agent is None:
            raise SatboxError("pass_missing", "No agent's keys were given to prove.", hint="Client(agent=...)")
        settings = self.settings
        pair = self.agent.addresses(settings.network)
        challenge = await self.gate_challenge(btc_address=pair.btc, stx_address=pair.stx, scope=scope)
        expected = Expected(settings.network, scope, settings.expected_deployment, self._now())
        proof = sign_challenge(self.agent, challenge, expected)
        gate_pass = await self.gate_prove(
            challenge=challenge.challenge, btc_signature=proof.btc_signature, stx_signature=proof.stx_signature
        )
        if scope == "owner":
            self._passes.put(gate_pass)
        return gate_pass

    async def reclaim(self, quote: r.Reclaim) -> r.Reclaim:
        """Sign a quote of `sandbox_reclaim` with both keys, and do it. Raises challenge_invalid, and signs nothing, when the
        challenge says anything else than the quote.
        """
        if self.agent is None or quote.challenge is None:
            raise SatboxError("pass_missing", "A quote and an agent's keys are needed.", hint="Client(agent=...)")
        parts = [Terms(i.payment_id, i.atomic, i.asset, i.origin, i.fee_atomic, i.usat) for i in quote.items]
        settings = self.settings
        expected = Expected(settings.network, terms_text(parts), settings.expected_deployment, self._now())
        proof = sign_challenge(self.agent, quote.challenge, expected)
        return await self.sandbox_reclaim(
            challenge=quote.challenge.challenge, btc_signature=proof.btc_signature, stx_signature=proof.stx_signature
        )

    async def gate_pass(self) -> str:
        """The pass this client shows, proven when there is none. Raises what `prove` raises."""
        return (self._passes.get() or await self._renewed()).token

    async def _renewed(self) -> GatePass:
        """A pass, proven once however many requests want one."""
        async with self._proving:
            return self._passes.get() or await self.prove()

    # Calls of what others sell

    def now_seconds(self) -> float:
        """Wall time, as this client was given it."""
        return self._now()

    async def session(self) -> aiohttp.ClientSession:
        """The HTTP session."""
        return await self._transport.session()

    async def call(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        max_sats: int = 100,
        timeout_seconds: float = ANSWER_SECONDS,
        cut_at_bytes: int | None = None,
    ) -> CallAnswer:
        """Call what another agent sells, paid from this agent's own bucket with one signature (`satbox.client.paid_calls`)."""
        return await call(
            self, url, method=method, headers=headers, data=data, max_sats=max_sats, timeout_seconds=timeout_seconds,
            cut_at_bytes=cut_at_bytes,
        )  # fmt: skip

    # Calls, for the generated methods

    async def _call(self, name: str, output: type[Output], /, **values: Any) -> Output:
        request = request_for(name, values)
        seconds = self.settings.timeouts.answer_seconds + float(request.values.get("timeout_seconds", 0))
        return model_of(await self._caller.send(request, total_seconds=seconds), output)

    async def _text(self, name: str, /, **values: Any) -> str:
        return self._body(await self._caller.send(request_for(name, values))).decode("utf-8", "replace")

    async def _download(self, name: str, /, **values: Any) -> bytes:
        request = request_for(name, values)
        return self._body(await self._caller.send(request, total_seconds=self.settings.timeouts.transfer_seconds))

    @staticmethod
    def _body(answer: HttpResponse) -> bytes:
        if not answer.is_ok:
            raise error_of(answer)
        return answer.body

    async def _upload(self, name: str, output: type[Output], data: Upload, /, **values: Any) -> Output:
        request = request_for(name, values)
        seconds = self.settings.timeouts.transfer_seconds
        if isinstance(data, Path):
            with local_path(data):  # on the way, what the disk says would look like what the network says
                (await asyncio.to_thread(data.open, "rb")).close()
        return model_of(await self._caller.send(request, data=data, total_seconds=seconds), output)

    async def _pay(self, name: str, terms: PaymentTerms, /, **values: Any) -> Paid:
        request = request_for(name, values)
        max_sats = self.settings.max_sats if terms.max_sats is None else terms.max_sats
        return await self._purchases.buy(name, request.values, Limits(max_sats, terms.asset, terms.sponsored))

    async def _send_paid(self, name: str, values: Mapping[str, Any], payment: str | None) -> HttpResponse:
        headers = {} if payment is None else {"payment-signature": payment}
        seconds = self.settings.timeouts.paid_seconds
        return await self._caller.send(request_for(name, values), headers=headers, total_seconds=seconds)

    async def _sandbox_of(self, address: str | None) -> SandboxStatus:
        return await self.sandbox_status(address=address, fresh=True)

    # Payments

    def open_payments(self) -> list[OpenPayment]:
        """Payments that were sent and whose outcome is not known."""
        return self._purchases.open_payments()

    async def resume(self) -> list[Paid]:
        """Send every open payment again, unchanged, until its outcome is known."""
        return await self._purchases.resume()

    def sats_signed_for(self, payment_id: str) -> int | None:
        """How many sats this client signed away under an id, answered once; None when it signed nothing of that name."""
        return self._purchases.sats_signed_for(payment_id)

    async def wait_confirmed(self, payment_id: str, *, timeout_seconds: float = 600.0) -> PaymentStatus:
        """Poll a payment until it is confirmed. Raises payment_failed when it never will be, timeout when it is not yet."""
        give_up, pause = self._now() + timeout_seconds, POLL_SECONDS
        while True:
            status = await self.payment_status(payment_id)
            if status.status == "confirmed":
                return status
            if status.status in _FAILED:
                raise SatboxError("payment_failed", details=status.model_dump(exclude_none=True))
            left = give_up - self._now()
            if left <= 0:
                raise SatboxError(
                    "timeout", f"The payment is still {status.status}.", details={"paymentId": payment_id},
                    funds_moved="unknown", hint="Do not pay again; keep polling its status.",
                )  # fmt: skip
            await self._sleep(max(POLL_SECONDS_MIN, min(pause, left)))
            pause = min(pause * 1.5, POLL_SECONDS_MAX)

    # Streams

    def events(self, *, address: str | None = None, after: int = 0) -> AsyncIterator[Event]:
        """Follow a wallet's events, reconnecting as often as needed. Never ends by itself."""
        return self._streams.events(address=address, after=after)

    def exec_stream(
        self,
        *,
        shell: str | None = None,
        argv: list[str] | None = None,
        stdin: bytes | None = None,
        **options: Any,
    ) -> AsyncIterator[ExecEvent]:
        """Run a command and follow its output; the last event is `exit` and has the result."""
        encoded = None if stdin is None else base64.b64encode(stdin).decode()
        return self._streams.exec({"shell": shell, "argv": argv, "stdin": encoded, **options})

    def read_stream(self, path: str, *, address: str | None = None) -> AsyncIterator[bytes]:
        """Read a file of any size in pieces."""
        return self._streams.read(path, address)

    def files_watch(self, path: str, *, recursive: bool = False, address: str | None = None) -> AsyncIterator[f.Change]:
        """Follow what changes in a folder; the first change is `watching`."""
        return self._streams.changes({"path": path, "recursive": recursive, "address": address})

    def follow_logs(self, process_id: str, *, after: int = 0, address: str | None = None) -> AsyncIterator[LogEvent]:
        """Follow what a process writes; the last event is `exit` and has the process."""
        return self._streams.logs({"process_id": process_id, "after": after, "address": address})

    async def processes_attach(self, process_id: str, *, after: int = 0, address: str | None = None) -> Attached:
        """Attach to a process: its output from a cursor on, its input, its terminal."""
        values = {"process_id": process_id, "after": after, "address": address}
        return Attached(await self._caller.websocket(request_for("processes.attach", values)))

    def pack_stream(
        self,
        path: str,
        *,
        format: str = "tar.gz",
        address: str | None = None,
        on_left_out: Callable[[int, list[str]], None] | None = None,
    ) -> AsyncIterator[bytes]:
        """A folder of any size as an archive, in pieces. `on_left_out` is called before the first: how many pipes, sockets and
        devices it lacks, and some of their names.
        """
        return self._streams.pack({"path": path, "format": format, "address": address}, on_left_out)

    async def download(self, path: str, to: Path, *, address: str | None = None) -> int:
        """Copy a file of any size out of the sandbox; its size in bytes."""
        return await self._streams.download(path, to, address)

    # Short names of the everyday operations.
    create = Operations.sandbox_create
    extend = Operations.sandbox_extend
    status = Operations.sandbox_status
    exec = Operations.sandbox_exec
    wake = Operations.sandbox_wake
    reap = Operations.sandbox_reap
    upload = Operations.files_write
