"""One method per operation, async and sync.

Generated from the operation registry by `python -m satbox.client.generate`; do not edit.
"""

from typing import Literal

from operations import budget as bu
from operations import checkpoints as cp
from operations import contexts as k
from operations import disputes as d
from operations import folders as f
from operations import git as g
from operations import handles as h
from operations import ledger as b
from operations import models as m
from operations import oracle as o
from operations import processes as p
from operations import refunds as r
from operations import routes as rt
from operations import secrets as x
from operations import snapshots as s
from operations import spending_keys as sk
from operations import usage as u
from operations import verification as v
from operations import visibility as vi
from operations import wake_links as w
from satbox.client.calls import Calls, PaymentTerms, SyncCalls, Upload


class Operations(Calls):
    """Every operation of the service, as a coroutine."""

    async def gate_challenge(
        self, *, btc_address: str, stx_address: str, scope: Literal["owner", "exec", "files", "extend"] = "owner"
    ) -> m.Challenge:
        """Get a challenge to prove a pair of Bitcoin and Stacks addresses.

        Errors: btc_address_unsupported, btc_network_mismatch, stx_address_invalid, stx_network_mismatch.
        """
        return await self._call(
            "gate.challenge", m.Challenge, btc_address=btc_address, stx_address=stx_address, scope=scope
        )

    async def gate_prove(self, *, challenge: str, btc_signature: str, stx_signature: str) -> m.GatePass:
        """Trade both signatures over a challenge for a gate pass.

        Errors: challenge_invalid, challenge_expired, challenge_replayed, btc_signature_invalid,
        stx_signature_invalid, signature_high_s, pair_not_registered, pair_mismatch, level_too_low,
        registry_unavailable.
        """
        return await self._call(
            "gate.prove", m.GatePass, challenge=challenge, btc_signature=btc_signature, stx_signature=stx_signature
        )

    async def gate_revoke(self) -> m.Revoked:
        """Void every gate pass issued for your wallet so far.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing.
        """
        return await self._call("gate.revoke", m.Revoked)

    async def sandbox_quote(self, *, sats: int | None = None, seconds: int | None = None) -> o.Quote:
        """See what sats or seconds cost in each asset; nothing is bought."""
        return await self._call("sandbox.quote", o.Quote, sats=sats, seconds=seconds)

    async def oracle_prices(self) -> o.Prices:
        """See what each coin is worth in sats, how sure that is, and why one is not offered."""
        return await self._call("oracle.prices", o.Prices)

    async def oracle_sources(self) -> o.Sources:
        """See how each price source does: last answer, age, error, weight, used or rejected."""
        return await self._call("oracle.sources", o.Sources)

    async def sandbox_create(
        self,
        *,
        sats: int | None = None,
        seconds: int | None = None,
        size_class: Literal["nano", "small", "medium"] = "small",
        image: str = "base",
        environment: dict[str, str] | None = None,
        reference: str | None = None,
        max_sats: int | None = None,
        asset: str | None = None,
        sponsored: bool = False,
    ) -> m.Paid:
        """Create your wallet's sandbox; answers 402 with offers until it is paid.

        Pays within `max_sats` (default: the client's), once: after a lost answer the same signed bytes are repeated.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, payment_required,
        payment_malformed, payment_version_unsupported, payment_v1_unsupported, payment_identifier_invalid,
        payment_identifier_conflict, payment_target_conflict, payment_wrong_network, payment_multisig_unsupported,
        payment_payload_unsupported, payment_wrong_asset, payment_wrong_recipient, payment_amount_insufficient,
        payment_signature_invalid, payment_sender_mismatch, payment_to_self, payment_post_conditions_abort,
        payment_fee_too_low, payment_nonce_stale, payment_nonce_gap, payment_in_flight, sponsored_unsupported,
        payment_insufficient_funds, payment_refused, payment_failed, quote_expired, quote_invalid, asset_not_offered,
        payer_on_hold, no_capacity, node_unavailable, already_exists.
        """
        return await self._pay(
            "sandbox.create",
            PaymentTerms(max_sats, asset, sponsored),
            sats=sats,
            seconds=seconds,
            size_class=size_class,
            image=image,
            environment=environment,
            reference=reference,
        )

    async def sandbox_extend(
        self,
        *,
        sats: int | None = None,
        seconds: int | None = None,
        address: str | None = None,
        reference: str | None = None,
        max_sats: int | None = None,
        asset: str | None = None,
        sponsored: bool = False,
    ) -> m.Paid:
        """Pay more time for your sandbox, or for somebody else's as a gift; wakes a reaped one.

        Pays within `max_sats` (default: the client's), once: after a lost answer the same signed bytes are repeated.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, payment_required,
        payment_malformed, payment_version_unsupported, payment_v1_unsupported, payment_identifier_invalid,
        payment_identifier_conflict, payment_target_conflict, payment_wrong_network, payment_multisig_unsupported,
        payment_payload_unsupported, payment_wrong_asset, payment_wrong_recipient, payment_amount_insufficient,
        payment_signature_invalid, payment_sender_mismatch, payment_to_self, payment_post_conditions_abort,
        payment_fee_too_low, payment_nonce_stale, payment_nonce_gap, payment_in_flight, sponsored_unsupported,
        payment_insufficient_funds, payment_refused, payment_failed, quote_expired, quote_invalid, asset_not_offered,
        payer_on_hold, no_capacity, node_unavailable, wake_link_invalid, wake_link_scope_missing,
        wake_link_cap_reached, wallet_not_found.
        """
        return await self._pay(
            "sandbox.extend",
            PaymentTerms(max_sats, asset, sponsored),
            sats=sats,
            seconds=seconds,
            address=address,
            reference=reference,
        )

    async def payment_status(self, payment_id: str) -> m.PaymentStatus:
        """See where a payment stands.

        Errors: payment_not_found.
        """
        return await self._call("payment.status", m.PaymentStatus, payment_id=payment_id)

    async def sandbox_status(self, *, address: str | None = None, fresh: bool = False) -> m.SandboxStatus:
        """See the sandbox's state, balance and how long it lasts.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found,
        wake_link_invalid.
        """
        return await self._call("sandbox.status", m.SandboxStatus, address=address, fresh=fresh)

    async def sandbox_exec(
        self,
        *,
        address: str | None = None,
        argv: list[str] | None = None,
        shell: str | None = None,
        cwd: str = "/workspace",
        env: dict[str, str] | None = None,
        stdin: str | None = None,
        timeout_seconds: float = 60,
        output_limit_bytes: int | None = None,
        stream: bool = False,
        receipt: bool = False,
    ) -> m.ExecResult:
        """Run a command in your sandbox.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable.
        """
        return await self._call(
            "sandbox.exec",
            m.ExecResult,
            address=address,
            argv=argv,
            shell=shell,
            cwd=cwd,
            env=env,
            stdin=stdin,
            timeout_seconds=timeout_seconds,
            output_limit_bytes=output_limit_bytes,
            stream=stream,
            receipt=receipt,
        )

    async def files_read(self, path: str, *, address: str | None = None) -> bytes:
        """Read a file.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden, range_invalid.
        """
        return await self._download("files.read", path=path, address=address)

    async def files_write(
        self, path: str, data: Upload, *, address: str | None = None, mode: str | None = None
    ) -> m.Done:
        """Write a file. Missing directories above it are made; it keeps its mode.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden, disk_full, body_too_large.
        """
        return await self._upload("files.write", m.Done, data, path=path, address=address, mode=mode)

    async def files_delete(self, path: str, *, address: str | None = None) -> m.Done:
        """Delete a file or a directory with all in it.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden.
        """
        return await self._call("files.delete", m.Done, path=path, address=address)

    async def files_list(self, path: str, *, address: str | None = None) -> m.FileList:
        """List a directory.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden.
        """
        return await self._call("files.list", m.FileList, path=path, address=address)

    async def files_stat(self, path: str, *, address: str | None = None) -> m.FileInfo:
        """See what a path is.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden.
        """
        return await self._call("files.stat", m.FileInfo, path=path, address=address)

    async def files_mkdir(self, path: str, *, address: str | None = None) -> m.Done:
        """Make a directory and its parents.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden.
        """
        return await self._call("files.mkdir", m.Done, path=path, address=address)

    async def files_move(self, path: str, to: str, *, address: str | None = None, overwrite: bool = False) -> m.Done:
        """Move or rename a file.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden, path_exists.
        """
        return await self._call("files.move", m.Done, path=path, to=to, address=address, overwrite=overwrite)

    async def sandbox_wake(
        self,
        *,
        address: str | None = None,
        size_class: Literal["nano", "small", "medium"] | None = None,
        handle: str | None = None,
    ) -> m.SandboxStatus:
        """Start a reaped sandbox on the credit that is left.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wake_link_invalid,
        wake_link_scope_missing, wake_link_cap_reached, not_owner, wallet_not_found, credit_insufficient, no_capacity,
        start_failed, budget_reached, handle_invalid, handle_not_found, handle_ambiguous, registry_unavailable.
        """
        return await self._call("sandbox.wake", m.SandboxStatus, address=address, size_class=size_class, handle=handle)

    async def sandbox_reap(self, *, address: str | None = None, destroy: bool = False) -> m.SandboxStatus:
        """Stop the sandbox and stop paying; the workspace and the credit are kept.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found.
        """
        return await self._call("sandbox.reap", m.SandboxStatus, address=address, destroy=destroy)

    async def sandbox_pause(self, *, address: str | None = None) -> m.SandboxStatus:
        """Freeze the sandbox: it keeps its memory, burns no CPU and pays a lower rate.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        pause_unavailable.
        """
        return await self._call("sandbox.pause", m.SandboxStatus, address=address)

    async def sandbox_resume(self, *, address: str | None = None) -> m.SandboxStatus:
        """Let a paused sandbox run on.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        pause_unavailable, budget_reached.
        """
        return await self._call("sandbox.resume", m.SandboxStatus, address=address)

    async def sandbox_ledger(
        self,
        *,
        address: str | None = None,
        since: str | None = None,
        until: str | None = None,
        after: int = 0,
        limit: int = 200,
    ) -> b.Ledger:
        """Read your journal: every deposit and charge, hash-chained, each page signed.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found.
        """
        return await self._call(
            "sandbox.ledger", b.Ledger, address=address, since=since, until=until, after=after, limit=limit
        )

    async def sandbox_statement(
        self,
        *,
        address: str | None = None,
        since: str | None = None,
        until: str | None = None,
        after: int = 0,
        format: Literal["sqlite", "json", "csv"] = "sqlite",
    ) -> bytes:
        """Get a signed statement of your journal as one file, to check offline: SQLite, JSON or CSV.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found,
        statement_too_large.
        """
        return await self._download(
            "sandbox.statement", address=address, since=since, until=until, after=after, format=format
        )

    async def service_key(self) -> b.Key:
        """The operator's public key, which receipts, statements and checkpoints verify with."""
        return await self._call("service.key", b.Key)

    async def sandbox_meter(self, *, address: str | None = None) -> m.MeterExplanation:
        """Check every charge by hand: spans, rate, remainders and sum.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found.
        """
        return await self._call("sandbox.meter", m.MeterExplanation, address=address)

    async def sandbox_events(
        self, *, address: str | None = None, after: int = 0, limit: int = 200, follow: bool = False
    ) -> m.Events:
        """Follow what happens to your wallet.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found.
        """
        return await self._call("sandbox.events", m.Events, address=address, after=after, limit=limit, follow=follow)

    async def operator_rate(self, address: str, rate_usat_per_second: int) -> m.SandboxStatus:
        """Set the rate of one wallet.

        Errors: operator_only, wallet_not_found.
        """
        return await self._call(
            "operator.rate", m.SandboxStatus, address=address, rate_usat_per_second=rate_usat_per_second
        )

    async def files_pack(
        self, path: str, *, address: str | None = None, format: Literal["tar", "tar.gz", "zip"] = "tar.gz"
    ) -> bytes:
        """Get a folder as an archive.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden.
        """
        return await self._download("files.pack", path=path, address=address, format=format)

    async def files_unpack(
        self, path: str, data: Upload, *, address: str | None = None, format: Literal["tar", "tar.gz", "zip"] = "tar.gz"
    ) -> f.Unpacked:
        """Unpack an archive into a folder: all of it, or nothing.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden, disk_full, body_too_large, archive_invalid.
        """
        return await self._upload("files.unpack", f.Unpacked, data, path=path, address=address, format=format)

    async def processes_start(
        self,
        *,
        address: str | None = None,
        argv: list[str] | None = None,
        shell: str | None = None,
        cwd: str = "/workspace",
        env: dict[str, str] | None = None,
        timeout_seconds: float = 0,
        unattended_seconds: float = 0,
        terminal: bool = False,
        rows: int = 24,
        columns: int = 80,
    ) -> p.ProcessView:
        """Start a process in the background; it goes on when the request has ended.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable, overloaded.
        """
        return await self._call(
            "processes.start",
            p.ProcessView,
            address=address,
            argv=argv,
            shell=shell,
            cwd=cwd,
            env=env,
            timeout_seconds=timeout_seconds,
            unattended_seconds=unattended_seconds,
            terminal=terminal,
            rows=rows,
            columns=columns,
        )

    async def processes_list(self, *, address: str | None = None) -> p.ProcessList:
        """List background processes, running and ended.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable.
        """
        return await self._call("processes.list", p.ProcessList, address=address)

    async def processes_get(self, process_id: str, *, address: str | None = None) -> p.ProcessView:
        """See a background process and how it ended.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        process_not_found.
        """
        return await self._call("processes.get", p.ProcessView, process_id=process_id, address=address)

    async def processes_kill(self, process_id: str, *, address: str | None = None) -> p.ProcessView:
        """End a process and all it started, and forget its log.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        process_not_found.
        """
        return await self._call("processes.kill", p.ProcessView, process_id=process_id, address=address)

    async def processes_signal(self, process_id: str, *, address: str | None = None, signal: str = "TERM") -> p.Told:
        """Signal a process.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        process_not_found, process_ended.
        """
        return await self._call("processes.signal", p.Told, process_id=process_id, address=address, signal=signal)

    async def processes_write(
        self, process_id: str, *, address: str | None = None, data: str = "", end: bool = False
    ) -> p.Told:
        """Send a process input.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        process_not_found, process_ended.
        """
        return await self._call("processes.write", p.Told, process_id=process_id, address=address, data=data, end=end)

    async def processes_resize(self, process_id: str, *, address: str | None = None, rows: int, columns: int) -> p.Told:
        """Tell a process's terminal its size.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        process_not_found, process_ended.
        """
        return await self._call(
            "processes.resize", p.Told, process_id=process_id, address=address, rows=rows, columns=columns
        )

    async def processes_wait(
        self,
        process_id: str,
        *,
        address: str | None = None,
        until: Literal["exit", "text", "port"] = "exit",
        text: str | None = None,
        port: int | None = None,
        after: int = 0,
        timeout_seconds: float = 60,
    ) -> p.Waited:
        """Wait for a process's end, for text it writes, or for a port it opens.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        process_not_found.
        """
        return await self._call(
            "processes.wait",
            p.Waited,
            process_id=process_id,
            address=address,
            until=until,
            text=text,
            port=port,
            after=after,
            timeout_seconds=timeout_seconds,
        )

    async def processes_logs(
        self,
        process_id: str,
        *,
        address: str | None = None,
        after: int = 0,
        limit_bytes: int = 1048576,
        follow: bool = False,
    ) -> p.Logs:
        """Read what a process wrote, from a cursor on.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        process_not_found.
        """
        return await self._call(
            "processes.logs",
            p.Logs,
            process_id=process_id,
            address=address,
            after=after,
            limit_bytes=limit_bytes,
            follow=follow,
        )

    async def ports_list(self, *, address: str | None = None) -> p.Ports:
        """List the TCP ports that somebody listens on inside.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable.
        """
        return await self._call("ports.list", p.Ports, address=address)

    async def ports_expose(self, port: int, *, address: str | None = None, seconds: int = 3600) -> p.PortToken:
        """Let whoever has the token reach a server in your sandbox.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        overloaded.
        """
        return await self._call("ports.expose", p.PortToken, port=port, address=address, seconds=seconds)

    async def ports_revoke(self, port: int, *, address: str | None = None) -> p.Told:
        """Void every token of a port.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found.
        """
        return await self._call("ports.revoke", p.Told, port=port, address=address)

    async def contexts_create(
        self, *, address: str | None = None, cwd: str = "/workspace", env: dict[str, str] | None = None
    ) -> k.Context:
        """Start a Python that keeps its variables between runs (image: python).

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        context_unavailable, overloaded.
        """
        return await self._call("contexts.create", k.Context, address=address, cwd=cwd, env=env)

    async def contexts_list(self, *, address: str | None = None) -> k.ContextList:
        """List code contexts.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable.
        """
        return await self._call("contexts.list", k.ContextList, address=address)

    async def contexts_run(
        self,
        context_id: str,
        code: str,
        *,
        address: str | None = None,
        timeout_seconds: float = 60,
        stream: bool = False,
    ) -> k.RunResult:
        """Run Python in a context: output, values, pictures, exceptions.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        context_not_found, context_died, context_busy.
        """
        return await self._call(
            "contexts.run",
            k.RunResult,
            context_id=context_id,
            code=code,
            address=address,
            timeout_seconds=timeout_seconds,
            stream=stream,
        )

    async def contexts_interrupt(self, context_id: str, *, address: str | None = None) -> m.Done:
        """Interrupt what runs in a context, as ctrl-C would.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        context_not_found, context_died.
        """
        return await self._call("contexts.interrupt", m.Done, context_id=context_id, address=address)

    async def contexts_delete(self, context_id: str, *, address: str | None = None) -> m.Done:
        """End a context; its variables are gone.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        context_not_found, context_died.
        """
        return await self._call("contexts.delete", m.Done, context_id=context_id, address=address)

    async def snapshots_create(self, name: str, *, address: str | None = None) -> s.Snapshot:
        """Keep the workspace as it is now, under a name; everything stands still meanwhile.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        snapshot_failed, storage_full, snapshots_full, pause_unavailable.
        """
        return await self._call("snapshots.create", s.Snapshot, name=name, address=address)

    async def snapshots_list(self, *, address: str | None = None) -> s.SnapshotList:
        """List the snapshots of your workspace.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        node_unavailable.
        """
        return await self._call("snapshots.list", s.SnapshotList, address=address)

    async def snapshots_restore(self, digest: str, *, address: str | None = None) -> m.SandboxStatus:
        """Go on from a snapshot: at once when the sandbox runs, else at its next start. What is there now is kept as one too.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        node_unavailable, snapshot_not_found, sandbox_starting, start_failed.
        """
        return await self._call("snapshots.restore", m.SandboxStatus, digest=digest, address=address)

    async def snapshots_delete(self, digest: str, *, address: str | None = None) -> m.Done:
        """Delete a snapshot, for good.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        node_unavailable, snapshot_not_found, snapshot_in_use.
        """
        return await self._call("snapshots.delete", m.Done, digest=digest, address=address)

    async def git_clone(
        self,
        url: str,
        *,
        address: str | None = None,
        path: str = "/workspace/repo",
        branch: str | None = None,
        depth: int | None = None,
        secret: str | None = None,
        timeout_seconds: float = 300,
    ) -> g.Cloned:
        """Clone a git repository into the workspace, through the egress proxy. Hooks do not run, submodules are left out.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        git_unavailable, clone_failed, secret_not_found, path_exists, timeout.
        """
        return await self._call(
            "git.clone",
            g.Cloned,
            url=url,
            address=address,
            path=path,
            branch=branch,
            depth=depth,
            secret=secret,
            timeout_seconds=timeout_seconds,
        )

    async def secrets_set(
        self,
        name: str,
        *,
        address: str | None = None,
        kind: Literal["env", "header"] = "env",
        value: str = "",
        alias: str | None = None,
        upstream: str | None = None,
        header: str | None = None,
        template: str | None = None,
    ) -> x.Secret:
        """Keep a secret: a variable for commands inside, or a header that is added to requests on their way out.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        secret_limit, secret_name_reserved, node_unavailable.
        """
        return await self._call(
            "secrets.set",
            x.Secret,
            name=name,
            address=address,
            kind=kind,
            value=value,
            alias=alias,
            upstream=upstream,
            header=header,
            template=template,
        )

    async def secrets_list(self, *, address: str | None = None) -> x.SecretList:
        """List your secrets: names and kinds, never values.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found.
        """
        return await self._call("secrets.list", x.SecretList, address=address)

    async def secrets_delete(self, name: str, *, address: str | None = None) -> m.Done:
        """Delete a secret; commands that run already keep the variables they have.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        secret_not_found, node_unavailable.
        """
        return await self._call("secrets.delete", m.Done, name=name, address=address)

    async def sandbox_usage(self, *, address: str | None = None, seconds: int = 600) -> u.Usage:
        """See what your sandbox uses, now and over the last hour: CPU, memory, disk, egress.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable.
        """
        return await self._call("sandbox.usage", u.Usage, address=address, seconds=seconds)

    async def sandbox_budget(
        self,
        *,
        address: str | None = None,
        max_sats_per_hour: int | None = None,
        max_sats_per_hour_by_meter: dict[str, int] | None = None,
        max_sats_per_call: int | None = None,
        warn_seconds: list[int] | None = None,
        remove: bool = False,
    ) -> m.SandboxStatus:
        """Say what your sandbox may cost an hour and a call, and when to warn you; it is frozen when that is used up.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found.
        """
        return await self._call(
            "sandbox.budget",
            m.SandboxStatus,
            address=address,
            max_sats_per_hour=max_sats_per_hour,
            max_sats_per_hour_by_meter=max_sats_per_hour_by_meter,
            max_sats_per_call=max_sats_per_call,
            warn_seconds=warn_seconds,
            remove=remove,
        )

    async def sandbox_meters(self) -> bu.Meters:
        """See what is metered, in which unit, at which rate."""
        return await self._call("sandbox.meters", bu.Meters)

    async def routes_set(self, *, address: str | None = None, routes: list[rt.RouteInput] | None = None) -> rt.Routes:
        """Say what strangers may reach inside your sandbox, and at which price a call.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        routes_limit.
        """
        return await self._call("routes.set", rt.Routes, address=address, routes=routes)

    async def routes_list(self, *, address: str | None = None) -> rt.Routes:
        """See what a wallet offers to callers, and at which price.

        Errors: wallet_not_found, pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing.
        """
        return await self._call("routes.list", rt.Routes, address=address)

    async def bucket_show(self, address: str) -> rt.Bucket:
        """See what is left in a bucket: what a wake page tells of it, also for whoever has no sandbox.

        Errors: wallet_not_found.
        """
        return await self._call("bucket.show", rt.Bucket, address=address)

    async def bucket_deposit(
        self,
        *,
        address: str,
        sats: int,
        reference: str | None = None,
        max_sats: int | None = None,
        asset: str | None = None,
        sponsored: bool = False,
    ) -> m.Paid:
        """Put money into a bucket, to pay for calls from it; answers 402 with offers until it is paid.

        Pays within `max_sats` (default: the client's), once: after a lost answer the same signed bytes are repeated.

        Errors: payment_required, payment_malformed, payment_version_unsupported, payment_v1_unsupported,
        payment_identifier_invalid, payment_identifier_conflict, payment_target_conflict, payment_wrong_network,
        payment_multisig_unsupported, payment_payload_unsupported, payment_wrong_asset, payment_wrong_recipient,
        payment_amount_insufficient, payment_signature_invalid, payment_sender_mismatch, payment_to_self,
        payment_post_conditions_abort, payment_fee_too_low, payment_nonce_stale, payment_nonce_gap, payment_in_flight,
        sponsored_unsupported, payment_insufficient_funds, payment_refused, payment_failed, quote_expired,
        quote_invalid, asset_not_offered, payer_on_hold, no_capacity, node_unavailable.
        """
        return await self._pay(
            "bucket.deposit", PaymentTerms(max_sats, asset, sponsored), address=address, sats=sats, reference=reference
        )

    async def checkpoints_list(self, *, after: int = 0, limit: int = 50, last: bool = False) -> cp.Checkpoints:
        """Read the signed checkpoints over the heads of all wallets."""
        return await self._call("checkpoints.list", cp.Checkpoints, after=after, limit=limit, last=last)

    async def checkpoints_proof(self, *, address: str | None = None) -> cp.InclusionProof:
        """Get proof that a checkpoint holds the head of your journal.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, checkpoint_not_found.
        """
        return await self._call("checkpoints.proof", cp.InclusionProof, address=address)

    async def operator_checkpoint(self) -> cp.MadeCheckpoint:
        """Make a checkpoint now.

        Errors: operator_only.
        """
        return await self._call("operator.checkpoint", cp.MadeCheckpoint)

    async def disputes_open(
        self, *, address: str | None = None, seq: int | None = None, receipt: str | None = None, reason: str
    ) -> d.Dispute:
        """Dispute an entry of your journal or a receipt.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found,
        dispute_target, dispute_too_late, dispute_limit.
        """
        return await self._call("disputes.open", d.Dispute, address=address, seq=seq, receipt=receipt, reason=reason)

    async def disputes_list(self, *, address: str | None = None) -> d.Disputes:
        """See your disputes and what was said to them.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found.
        """
        return await self._call("disputes.list", d.Disputes, address=address)

    async def operator_disputes(self, *, limit: int = 100) -> d.Disputes:
        """List the disputes that wait for an answer or a verdict.

        Errors: operator_only.
        """
        return await self._call("operator.disputes", d.Disputes, limit=limit)

    async def operator_answer(self, dispute_id: str, text: str) -> d.Dispute:
        """Answer a dispute.

        Errors: operator_only, dispute_not_found, dispute_state.
        """
        return await self._call("operator.answer", d.Dispute, dispute_id=dispute_id, text=text)

    async def operator_uphold(self, dispute_id: str, text: str, *, usat: int | None = None) -> d.Dispute:
        """Decide for the owner: what was charged wrongly is put back into the bucket, once.

        Errors: operator_only, dispute_not_found, dispute_state, dispute_amount.
        """
        return await self._call("operator.uphold", d.Dispute, dispute_id=dispute_id, text=text, usat=usat)

    async def operator_deny(self, dispute_id: str, text: str) -> d.Dispute:
        """Decide against the owner.

        Errors: operator_only, dispute_not_found, dispute_state.
        """
        return await self._call("operator.deny", d.Dispute, dispute_id=dispute_id, text=text)

    async def agents_resolve(self, handle: str) -> h.AgentView:
        """See whom a handle names, and its wallet here.

        Errors: handle_invalid, handle_not_found, handle_ambiguous, registry_unavailable.
        """
        return await self._call("agents.resolve", h.AgentView, handle=handle)

    async def wake_links_create(
        self,
        *,
        address: str | None = None,
        scopes: list[Literal["wake", "topup"]] | None = None,
        wakes_per_day: int = 10,
        sats_per_day: int | None = None,
        expires_seconds: int = 2592000,
        label: str = "",
    ) -> w.NewWakeLink:
        """Make a link whose holder may wake your sandbox, or pay for it, without keys.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        wake_links_full.
        """
        return await self._call(
            "wake_links.create",
            w.NewWakeLink,
            address=address,
            scopes=scopes,
            wakes_per_day=wakes_per_day,
            sats_per_day=sats_per_day,
            expires_seconds=expires_seconds,
            label=label,
        )

    async def wake_links_list(self, *, address: str | None = None) -> w.WakeLinks:
        """List your wake links and what was made of them today.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found.
        """
        return await self._call("wake_links.list", w.WakeLinks, address=address)

    async def wake_links_revoke(self, link_id: str, *, address: str | None = None) -> w.WakeLinkView:
        """Void a wake link.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        wake_link_not_found.
        """
        return await self._call("wake_links.revoke", w.WakeLinkView, link_id=link_id, address=address)

    async def wake_links_info(self) -> w.WakeLinkInfo:
        """See what a wake link may do now, without using it.

        Errors: wake_link_invalid.
        """
        return await self._call("wake_links.info", w.WakeLinkInfo)

    async def api_keys_create(
        self,
        *,
        address: str | None = None,
        sats_per_call: int | None = None,
        sats_per_hour: int | None = None,
        sats_per_day: int | None = None,
        sats_total: int | None = None,
        name: str = "",
        scopes: list[str] | None = None,
        payees: list[str] | None = None,
        signer: str | None = None,
        expires_seconds: int | None = None,
    ) -> sk.NewKey:
        """Make a key that spends from your bucket within caps.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        spending_keys_full.
        """
        return await self._call(
            "api_keys.create",
            sk.NewKey,
            address=address,
            sats_per_call=sats_per_call,
            sats_per_hour=sats_per_hour,
            sats_per_day=sats_per_day,
            sats_total=sats_total,
            name=name,
            scopes=scopes,
            payees=payees,
            signer=signer,
            expires_seconds=expires_seconds,
        )

    async def api_keys_list(self, *, address: str | None = None) -> sk.Keys:
        """List your spending keys, what they spent and what is left.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found.
        """
        return await self._call("api_keys.list", sk.Keys, address=address)

    async def api_keys_revoke(self, key_id: str, *, address: str | None = None) -> sk.KeyView:
        """Void a spending key at once.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        spending_key_not_found.
        """
        return await self._call("api_keys.revoke", sk.KeyView, key_id=key_id, address=address)

    async def api_keys_limit_self(
        self,
        *,
        address: str | None = None,
        sats_per_call: int | None = None,
        sats_per_hour: int | None = None,
        sats_per_day: int | None = None,
        sats_total: int | None = None,
    ) -> sk.KeyView:
        """Set what your sandbox may spend by itself.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found.
        """
        return await self._call(
            "api_keys.limit_self",
            sk.KeyView,
            address=address,
            sats_per_call=sats_per_call,
            sats_per_hour=sats_per_hour,
            sats_per_day=sats_per_day,
            sats_total=sats_total,
        )

    async def self_show(self) -> sk.SelfView:
        """See for whom you call, what is left, and what you may spend.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found, runtime_gone,
        spending_key_invalid.
        """
        return await self._call("self.show", sk.SelfView)

    async def sandbox_reclaim(
        self,
        *,
        address: str | None = None,
        deposits: str | None = None,
        challenge: str | None = None,
        btc_signature: str | None = None,
        stx_signature: str | None = None,
    ) -> r.Reclaim:
        """Get what is left of your deposits back to where they came from: first a quote, then with a fresh proof of it.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found,
        reclaim_running, reclaim_owing, reclaim_deposit, reclaim_not_final, reclaim_changed, reclaim_limit,
        reclaim_nothing, challenge_invalid, challenge_expired, btc_signature_invalid, stx_signature_invalid,
        signature_high_s, pair_not_registered, pair_mismatch, level_too_low, registry_unavailable.
        """
        return await self._call(
            "sandbox.reclaim",
            r.Reclaim,
            address=address,
            deposits=deposits,
            challenge=challenge,
            btc_signature=btc_signature,
            stx_signature=stx_signature,
        )

    async def sandbox_reclaims(self, *, address: str | None = None) -> r.Payouts:
        """See where your payouts stand, newest first.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found.
        """
        return await self._call("sandbox.reclaims", r.Payouts, address=address)

    async def operator_payouts(self) -> r.Payouts:
        """List the payouts that are not over, and what they wait for.

        Errors: operator_only.
        """
        return await self._call("operator.payouts", r.Payouts)

    async def operator_payout_approve(self, payout_id: str) -> r.Payout:
        """Let a payout pass that waits for you or for a limit.

        Errors: operator_only, payout_not_found, payout_state, payout_limit.
        """
        return await self._call("operator.payout_approve", r.Payout, payout_id=payout_id)

    async def operator_payout_deny(self, payout_id: str) -> r.Payout:
        """Refuse a payout that is not signed yet; its wallet gets the money back.

        Errors: operator_only, payout_not_found, payout_state.
        """
        return await self._call("operator.payout_deny", r.Payout, payout_id=payout_id)

    async def stacks_decode_transaction(self, hex: str) -> v.TransactionReport:
        """Read a Stacks transaction and check its signatures.

        Errors: invalid_request, not_found, overloaded, pass_missing, pass_invalid, pass_expired, pass_revoked,
        scope_missing, wallet_not_found, credit_insufficient, bytes_invalid.
        """
        return await self._call("stacks.decode_transaction", v.TransactionReport, hex=hex)

    async def stacks_decode_clarity(self, hex: str) -> v.ClarityReport:
        """Read a Clarity value.

        Errors: invalid_request, not_found, overloaded, pass_missing, pass_invalid, pass_expired, pass_revoked,
        scope_missing, wallet_not_found, credit_insufficient, bytes_invalid.
        """
        return await self._call("stacks.decode_clarity", v.ClarityReport, hex=hex)

    async def stacks_address(self, address: str) -> v.AddressReport:
        """Check a Stacks address and see it on both networks.

        Errors: invalid_request, not_found, overloaded, pass_missing, pass_invalid, pass_expired, pass_revoked,
        scope_missing, wallet_not_found, credit_insufficient, stx_address_invalid.
        """
        return await self._call("stacks.address", v.AddressReport, address=address)

    async def stacks_verify_sip018(
        self,
        *,
        domain_hex: str,
        message_hex: str,
        signature: str,
        address: str | None = None,
        network: Literal["mainnet", "testnet"] | None = None,
    ) -> v.SignatureReport:
        """Check who signed structured data (SIP-018).

        Errors: invalid_request, not_found, overloaded, pass_missing, pass_invalid, pass_expired, pass_revoked,
        scope_missing, wallet_not_found, credit_insufficient, bytes_invalid.
        """
        return await self._call(
            "stacks.verify_sip018",
            v.SignatureReport,
            domain_hex=domain_hex,
            message_hex=message_hex,
            signature=signature,
            address=address,
            network=network,
        )

    async def stacks_verify_message(
        self,
        *,
        message: str,
        signature: str,
        address: str | None = None,
        network: Literal["mainnet", "testnet"] | None = None,
    ) -> v.SignatureReport:
        """Check who signed a plain message with a Stacks wallet.

        Errors: invalid_request, not_found, overloaded, pass_missing, pass_invalid, pass_expired, pass_revoked,
        scope_missing, wallet_not_found, credit_insufficient.
        """
        return await self._call(
            "stacks.verify_message",
            v.SignatureReport,
            message=message,
            signature=signature,
            address=address,
            network=network,
        )

    async def stacks_verify_btc_message(
        self, *, address: str, message: str, signature: str
    ) -> v.BitcoinSignatureReport:
        """Check whether a Bitcoin address signed a message (BIP-322 simple, BIP-137).

        Errors: invalid_request, not_found, overloaded, pass_missing, pass_invalid, pass_expired, pass_revoked,
        scope_missing, wallet_not_found, credit_insufficient.
        """
        return await self._call(
            "stacks.verify_btc_message", v.BitcoinSignatureReport, address=address, message=message, signature=signature
        )

    async def hashing_digest(
        self,
        algorithm: Literal["sha256", "sha512", "sha512-256", "keccak256", "hash160", "ripemd160"],
        data: str,
        *,
        encoding: Literal["hex", "base64"] = "hex",
    ) -> v.HashReport:
        """Hash text or bytes.

        Errors: invalid_request, not_found, overloaded, pass_missing, pass_invalid, pass_expired, pass_revoked,
        scope_missing, wallet_not_found, credit_insufficient.
        """
        return await self._call("hashing.digest", v.HashReport, algorithm=algorithm, data=data, encoding=encoding)

    async def sandbox_visibility(self, *, address: str | None = None, public: bool | None = None) -> vi.Visibility:
        """Say whether everybody may see your agent's page; terminal, files, logs and ledger stay yours.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found.
        """
        return await self._call("sandbox.visibility", vi.Visibility, address=address, public=public)

    async def service_health(self) -> m.Health:
        """See whether the service and its parts work."""
        return await self._call("service.health", m.Health)

    async def service_metrics(self) -> str:
        """Counters and histograms in Prometheus text."""
        return await self._text("service.metrics")


class SyncOperations(SyncCalls[Operations]):
    """The same, blocking."""

    def gate_challenge(
        self, *, btc_address: str, stx_address: str, scope: Literal["owner", "exec", "files", "extend"] = "owner"
    ) -> m.Challenge:
        """Get a challenge to prove a pair of Bitcoin and Stacks addresses.

        Errors: btc_address_unsupported, btc_network_mismatch, stx_address_invalid, stx_network_mismatch.
        """
        return self._run(self._client.gate_challenge(btc_address=btc_address, stx_address=stx_address, scope=scope))

    def gate_prove(self, *, challenge: str, btc_signature: str, stx_signature: str) -> m.GatePass:
        """Trade both signatures over a challenge for a gate pass.

        Errors: challenge_invalid, challenge_expired, challenge_replayed, btc_signature_invalid,
        stx_signature_invalid, signature_high_s, pair_not_registered, pair_mismatch, level_too_low,
        registry_unavailable.
        """
        return self._run(
            self._client.gate_prove(challenge=challenge, btc_signature=btc_signature, stx_signature=stx_signature)
        )

    def gate_revoke(self) -> m.Revoked:
        """Void every gate pass issued for your wallet so far.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing.
        """
        return self._run(self._client.gate_revoke())

    def sandbox_quote(self, *, sats: int | None = None, seconds: int | None = None) -> o.Quote:
        """See what sats or seconds cost in each asset; nothing is bought."""
        return self._run(self._client.sandbox_quote(sats=sats, seconds=seconds))

    def oracle_prices(self) -> o.Prices:
        """See what each coin is worth in sats, how sure that is, and why one is not offered."""
        return self._run(self._client.oracle_prices())

    def oracle_sources(self) -> o.Sources:
        """See how each price source does: last answer, age, error, weight, used or rejected."""
        return self._run(self._client.oracle_sources())

    def sandbox_create(
        self,
        *,
        sats: int | None = None,
        seconds: int | None = None,
        size_class: Literal["nano", "small", "medium"] = "small",
        image: str = "base",
        environment: dict[str, str] | None = None,
        reference: str | None = None,
        max_sats: int | None = None,
        asset: str | None = None,
        sponsored: bool = False,
    ) -> m.Paid:
        """Create your wallet's sandbox; answers 402 with offers until it is paid.

        Pays within `max_sats` (default: the client's), once: after a lost answer the same signed bytes are repeated.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, payment_required,
        payment_malformed, payment_version_unsupported, payment_v1_unsupported, payment_identifier_invalid,
        payment_identifier_conflict, payment_target_conflict, payment_wrong_network, payment_multisig_unsupported,
        payment_payload_unsupported, payment_wrong_asset, payment_wrong_recipient, payment_amount_insufficient,
        payment_signature_invalid, payment_sender_mismatch, payment_to_self, payment_post_conditions_abort,
        payment_fee_too_low, payment_nonce_stale, payment_nonce_gap, payment_in_flight, sponsored_unsupported,
        payment_insufficient_funds, payment_refused, payment_failed, quote_expired, quote_invalid, asset_not_offered,
        payer_on_hold, no_capacity, node_unavailable, already_exists.
        """
        return self._run(
            self._client.sandbox_create(
                sats=sats,
                seconds=seconds,
                size_class=size_class,
                image=image,
                environment=environment,
                reference=reference,
                max_sats=max_sats,
                asset=asset,
                sponsored=sponsored,
            )
        )

    def sandbox_extend(
        self,
        *,
        sats: int | None = None,
        seconds: int | None = None,
        address: str | None = None,
        reference: str | None = None,
        max_sats: int | None = None,
        asset: str | None = None,
        sponsored: bool = False,
    ) -> m.Paid:
        """Pay more time for your sandbox, or for somebody else's as a gift; wakes a reaped one.

        Pays within `max_sats` (default: the client's), once: after a lost answer the same signed bytes are repeated.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, payment_required,
        payment_malformed, payment_version_unsupported, payment_v1_unsupported, payment_identifier_invalid,
        payment_identifier_conflict, payment_target_conflict, payment_wrong_network, payment_multisig_unsupported,
        payment_payload_unsupported, payment_wrong_asset, payment_wrong_recipient, payment_amount_insufficient,
        payment_signature_invalid, payment_sender_mismatch, payment_to_self, payment_post_conditions_abort,
        payment_fee_too_low, payment_nonce_stale, payment_nonce_gap, payment_in_flight, sponsored_unsupported,
        payment_insufficient_funds, payment_refused, payment_failed, quote_expired, quote_invalid, asset_not_offered,
        payer_on_hold, no_capacity, node_unavailable, wake_link_invalid, wake_link_scope_missing,
        wake_link_cap_reached, wallet_not_found.
        """
        return self._run(
            self._client.sandbox_extend(
                sats=sats,
                seconds=seconds,
                address=address,
                reference=reference,
                max_sats=max_sats,
                asset=asset,
                sponsored=sponsored,
            )
        )

    def payment_status(self, payment_id: str) -> m.PaymentStatus:
        """See where a payment stands.

        Errors: payment_not_found.
        """
        return self._run(self._client.payment_status(payment_id))

    def sandbox_status(self, *, address: str | None = None, fresh: bool = False) -> m.SandboxStatus:
        """See the sandbox's state, balance and how long it lasts.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found,
        wake_link_invalid.
        """
        return self._run(self._client.sandbox_status(address=address, fresh=fresh))

    def sandbox_exec(
        self,
        *,
        address: str | None = None,
        argv: list[str] | None = None,
        shell: str | None = None,
        cwd: str = "/workspace",
        env: dict[str, str] | None = None,
        stdin: str | None = None,
        timeout_seconds: float = 60,
        output_limit_bytes: int | None = None,
        stream: bool = False,
        receipt: bool = False,
    ) -> m.ExecResult:
        """Run a command in your sandbox.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable.
        """
        return self._run(
            self._client.sandbox_exec(
                address=address,
                argv=argv,
                shell=shell,
                cwd=cwd,
                env=env,
                stdin=stdin,
                timeout_seconds=timeout_seconds,
                output_limit_bytes=output_limit_bytes,
                stream=stream,
                receipt=receipt,
            )
        )

    def files_read(self, path: str, *, address: str | None = None) -> bytes:
        """Read a file.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden, range_invalid.
        """
        return self._run(self._client.files_read(path, address=address))

    def files_write(self, path: str, data: Upload, *, address: str | None = None, mode: str | None = None) -> m.Done:
        """Write a file. Missing directories above it are made; it keeps its mode.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden, disk_full, body_too_large.
        """
        return self._run(self._client.files_write(path, data, address=address, mode=mode))

    def files_delete(self, path: str, *, address: str | None = None) -> m.Done:
        """Delete a file or a directory with all in it.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden.
        """
        return self._run(self._client.files_delete(path, address=address))

    def files_list(self, path: str, *, address: str | None = None) -> m.FileList:
        """List a directory.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden.
        """
        return self._run(self._client.files_list(path, address=address))

    def files_stat(self, path: str, *, address: str | None = None) -> m.FileInfo:
        """See what a path is.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden.
        """
        return self._run(self._client.files_stat(path, address=address))

    def files_mkdir(self, path: str, *, address: str | None = None) -> m.Done:
        """Make a directory and its parents.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden.
        """
        return self._run(self._client.files_mkdir(path, address=address))

    def files_move(self, path: str, to: str, *, address: str | None = None, overwrite: bool = False) -> m.Done:
        """Move or rename a file.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden, path_exists.
        """
        return self._run(self._client.files_move(path, to, address=address, overwrite=overwrite))

    def sandbox_wake(
        self,
        *,
        address: str | None = None,
        size_class: Literal["nano", "small", "medium"] | None = None,
        handle: str | None = None,
    ) -> m.SandboxStatus:
        """Start a reaped sandbox on the credit that is left.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wake_link_invalid,
        wake_link_scope_missing, wake_link_cap_reached, not_owner, wallet_not_found, credit_insufficient, no_capacity,
        start_failed, budget_reached, handle_invalid, handle_not_found, handle_ambiguous, registry_unavailable.
        """
        return self._run(self._client.sandbox_wake(address=address, size_class=size_class, handle=handle))

    def sandbox_reap(self, *, address: str | None = None, destroy: bool = False) -> m.SandboxStatus:
        """Stop the sandbox and stop paying; the workspace and the credit are kept.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found.
        """
        return self._run(self._client.sandbox_reap(address=address, destroy=destroy))

    def sandbox_pause(self, *, address: str | None = None) -> m.SandboxStatus:
        """Freeze the sandbox: it keeps its memory, burns no CPU and pays a lower rate.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        pause_unavailable.
        """
        return self._run(self._client.sandbox_pause(address=address))

    def sandbox_resume(self, *, address: str | None = None) -> m.SandboxStatus:
        """Let a paused sandbox run on.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        pause_unavailable, budget_reached.
        """
        return self._run(self._client.sandbox_resume(address=address))

    def sandbox_ledger(
        self,
        *,
        address: str | None = None,
        since: str | None = None,
        until: str | None = None,
        after: int = 0,
        limit: int = 200,
    ) -> b.Ledger:
        """Read your journal: every deposit and charge, hash-chained, each page signed.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found.
        """
        return self._run(
            self._client.sandbox_ledger(address=address, since=since, until=until, after=after, limit=limit)
        )

    def sandbox_statement(
        self,
        *,
        address: str | None = None,
        since: str | None = None,
        until: str | None = None,
        after: int = 0,
        format: Literal["sqlite", "json", "csv"] = "sqlite",
    ) -> bytes:
        """Get a signed statement of your journal as one file, to check offline: SQLite, JSON or CSV.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found,
        statement_too_large.
        """
        return self._run(
            self._client.sandbox_statement(address=address, since=since, until=until, after=after, format=format)
        )

    def service_key(self) -> b.Key:
        """The operator's public key, which receipts, statements and checkpoints verify with."""
        return self._run(self._client.service_key())

    def sandbox_meter(self, *, address: str | None = None) -> m.MeterExplanation:
        """Check every charge by hand: spans, rate, remainders and sum.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found.
        """
        return self._run(self._client.sandbox_meter(address=address))

    def sandbox_events(
        self, *, address: str | None = None, after: int = 0, limit: int = 200, follow: bool = False
    ) -> m.Events:
        """Follow what happens to your wallet.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found.
        """
        return self._run(self._client.sandbox_events(address=address, after=after, limit=limit, follow=follow))

    def operator_rate(self, address: str, rate_usat_per_second: int) -> m.SandboxStatus:
        """Set the rate of one wallet.

        Errors: operator_only, wallet_not_found.
        """
        return self._run(self._client.operator_rate(address, rate_usat_per_second))

    def files_pack(
        self, path: str, *, address: str | None = None, format: Literal["tar", "tar.gz", "zip"] = "tar.gz"
    ) -> bytes:
        """Get a folder as an archive.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden.
        """
        return self._run(self._client.files_pack(path, address=address, format=format))

    def files_unpack(
        self, path: str, data: Upload, *, address: str | None = None, format: Literal["tar", "tar.gz", "zip"] = "tar.gz"
    ) -> f.Unpacked:
        """Unpack an archive into a folder: all of it, or nothing.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        path_invalid, path_not_found, path_forbidden, disk_full, body_too_large, archive_invalid.
        """
        return self._run(self._client.files_unpack(path, data, address=address, format=format))

    def processes_start(
        self,
        *,
        address: str | None = None,
        argv: list[str] | None = None,
        shell: str | None = None,
        cwd: str = "/workspace",
        env: dict[str, str] | None = None,
        timeout_seconds: float = 0,
        unattended_seconds: float = 0,
        terminal: bool = False,
        rows: int = 24,
        columns: int = 80,
    ) -> p.ProcessView:
        """Start a process in the background; it goes on when the request has ended.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable, overloaded.
        """
        return self._run(
            self._client.processes_start(
                address=address,
                argv=argv,
                shell=shell,
                cwd=cwd,
                env=env,
                timeout_seconds=timeout_seconds,
                unattended_seconds=unattended_seconds,
                terminal=terminal,
                rows=rows,
                columns=columns,
            )
        )

    def processes_list(self, *, address: str | None = None) -> p.ProcessList:
        """List background processes, running and ended.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable.
        """
        return self._run(self._client.processes_list(address=address))

    def processes_get(self, process_id: str, *, address: str | None = None) -> p.ProcessView:
        """See a background process and how it ended.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        process_not_found.
        """
        return self._run(self._client.processes_get(process_id, address=address))

    def processes_kill(self, process_id: str, *, address: str | None = None) -> p.ProcessView:
        """End a process and all it started, and forget its log.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        process_not_found.
        """
        return self._run(self._client.processes_kill(process_id, address=address))

    def processes_signal(self, process_id: str, *, address: str | None = None, signal: str = "TERM") -> p.Told:
        """Signal a process.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        process_not_found, process_ended.
        """
        return self._run(self._client.processes_signal(process_id, address=address, signal=signal))

    def processes_write(
        self, process_id: str, *, address: str | None = None, data: str = "", end: bool = False
    ) -> p.Told:
        """Send a process input.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        process_not_found, process_ended.
        """
        return self._run(self._client.processes_write(process_id, address=address, data=data, end=end))

    def processes_resize(self, process_id: str, *, address: str | None = None, rows: int, columns: int) -> p.Told:
        """Tell a process's terminal its size.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        process_not_found, process_ended.
        """
        return self._run(self._client.processes_resize(process_id, address=address, rows=rows, columns=columns))

    def processes_wait(
        self,
        process_id: str,
        *,
        address: str | None = None,
        until: Literal["exit", "text", "port"] = "exit",
        text: str | None = None,
        port: int | None = None,
        after: int = 0,
        timeout_seconds: float = 60,
    ) -> p.Waited:
        """Wait for a process's end, for text it writes, or for a port it opens.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        process_not_found.
        """
        return self._run(
            self._client.processes_wait(
                process_id,
                address=address,
                until=until,
                text=text,
                port=port,
                after=after,
                timeout_seconds=timeout_seconds,
            )
        )

    def processes_logs(
        self,
        process_id: str,
        *,
        address: str | None = None,
        after: int = 0,
        limit_bytes: int = 1048576,
        follow: bool = False,
    ) -> p.Logs:
        """Read what a process wrote, from a cursor on.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        process_not_found.
        """
        return self._run(
            self._client.processes_logs(
                process_id, address=address, after=after, limit_bytes=limit_bytes, follow=follow
            )
        )

    def ports_list(self, *, address: str | None = None) -> p.Ports:
        """List the TCP ports that somebody listens on inside.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable.
        """
        return self._run(self._client.ports_list(address=address))

    def ports_expose(self, port: int, *, address: str | None = None, seconds: int = 3600) -> p.PortToken:
        """Let whoever has the token reach a server in your sandbox.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        overloaded.
        """
        return self._run(self._client.ports_expose(port, address=address, seconds=seconds))

    def ports_revoke(self, port: int, *, address: str | None = None) -> p.Told:
        """Void every token of a port.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found.
        """
        return self._run(self._client.ports_revoke(port, address=address))

    def contexts_create(
        self, *, address: str | None = None, cwd: str = "/workspace", env: dict[str, str] | None = None
    ) -> k.Context:
        """Start a Python that keeps its variables between runs (image: python).

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        context_unavailable, overloaded.
        """
        return self._run(self._client.contexts_create(address=address, cwd=cwd, env=env))

    def contexts_list(self, *, address: str | None = None) -> k.ContextList:
        """List code contexts.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable.
        """
        return self._run(self._client.contexts_list(address=address))

    def contexts_run(
        self,
        context_id: str,
        code: str,
        *,
        address: str | None = None,
        timeout_seconds: float = 60,
        stream: bool = False,
    ) -> k.RunResult:
        """Run Python in a context: output, values, pictures, exceptions.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        context_not_found, context_died, context_busy.
        """
        return self._run(
            self._client.contexts_run(context_id, code, address=address, timeout_seconds=timeout_seconds, stream=stream)
        )

    def contexts_interrupt(self, context_id: str, *, address: str | None = None) -> m.Done:
        """Interrupt what runs in a context, as ctrl-C would.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        context_not_found, context_died.
        """
        return self._run(self._client.contexts_interrupt(context_id, address=address))

    def contexts_delete(self, context_id: str, *, address: str | None = None) -> m.Done:
        """End a context; its variables are gone.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        context_not_found, context_died.
        """
        return self._run(self._client.contexts_delete(context_id, address=address))

    def snapshots_create(self, name: str, *, address: str | None = None) -> s.Snapshot:
        """Keep the workspace as it is now, under a name; everything stands still meanwhile.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        snapshot_failed, storage_full, snapshots_full, pause_unavailable.
        """
        return self._run(self._client.snapshots_create(name, address=address))

    def snapshots_list(self, *, address: str | None = None) -> s.SnapshotList:
        """List the snapshots of your workspace.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        node_unavailable.
        """
        return self._run(self._client.snapshots_list(address=address))

    def snapshots_restore(self, digest: str, *, address: str | None = None) -> m.SandboxStatus:
        """Go on from a snapshot: at once when the sandbox runs, else at its next start. What is there now is kept as one too.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        node_unavailable, snapshot_not_found, sandbox_starting, start_failed.
        """
        return self._run(self._client.snapshots_restore(digest, address=address))

    def snapshots_delete(self, digest: str, *, address: str | None = None) -> m.Done:
        """Delete a snapshot, for good.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        node_unavailable, snapshot_not_found, snapshot_in_use.
        """
        return self._run(self._client.snapshots_delete(digest, address=address))

    def git_clone(
        self,
        url: str,
        *,
        address: str | None = None,
        path: str = "/workspace/repo",
        branch: str | None = None,
        depth: int | None = None,
        secret: str | None = None,
        timeout_seconds: float = 300,
    ) -> g.Cloned:
        """Clone a git repository into the workspace, through the egress proxy. Hooks do not run, submodules are left out.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable,
        git_unavailable, clone_failed, secret_not_found, path_exists, timeout.
        """
        return self._run(
            self._client.git_clone(
                url,
                address=address,
                path=path,
                branch=branch,
                depth=depth,
                secret=secret,
                timeout_seconds=timeout_seconds,
            )
        )

    def secrets_set(
        self,
        name: str,
        *,
        address: str | None = None,
        kind: Literal["env", "header"] = "env",
        value: str = "",
        alias: str | None = None,
        upstream: str | None = None,
        header: str | None = None,
        template: str | None = None,
    ) -> x.Secret:
        """Keep a secret: a variable for commands inside, or a header that is added to requests on their way out.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        secret_limit, secret_name_reserved, node_unavailable.
        """
        return self._run(
            self._client.secrets_set(
                name,
                address=address,
                kind=kind,
                value=value,
                alias=alias,
                upstream=upstream,
                header=header,
                template=template,
            )
        )

    def secrets_list(self, *, address: str | None = None) -> x.SecretList:
        """List your secrets: names and kinds, never values.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found.
        """
        return self._run(self._client.secrets_list(address=address))

    def secrets_delete(self, name: str, *, address: str | None = None) -> m.Done:
        """Delete a secret; commands that run already keep the variables they have.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        secret_not_found, node_unavailable.
        """
        return self._run(self._client.secrets_delete(name, address=address))

    def sandbox_usage(self, *, address: str | None = None, seconds: int = 600) -> u.Usage:
        """See what your sandbox uses, now and over the last hour: CPU, memory, disk, egress.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        sandbox_starting, sandbox_reaped, sandbox_paused, budget_reached, runtime_gone, node_unavailable.
        """
        return self._run(self._client.sandbox_usage(address=address, seconds=seconds))

    def sandbox_budget(
        self,
        *,
        address: str | None = None,
        max_sats_per_hour: int | None = None,
        max_sats_per_hour_by_meter: dict[str, int] | None = None,
        max_sats_per_call: int | None = None,
        warn_seconds: list[int] | None = None,
        remove: bool = False,
    ) -> m.SandboxStatus:
        """Say what your sandbox may cost an hour and a call, and when to warn you; it is frozen when that is used up.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found.
        """
        return self._run(
            self._client.sandbox_budget(
                address=address,
                max_sats_per_hour=max_sats_per_hour,
                max_sats_per_hour_by_meter=max_sats_per_hour_by_meter,
                max_sats_per_call=max_sats_per_call,
                warn_seconds=warn_seconds,
                remove=remove,
            )
        )

    def sandbox_meters(self) -> bu.Meters:
        """See what is metered, in which unit, at which rate."""
        return self._run(self._client.sandbox_meters())

    def routes_set(self, *, address: str | None = None, routes: list[rt.RouteInput] | None = None) -> rt.Routes:
        """Say what strangers may reach inside your sandbox, and at which price a call.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        routes_limit.
        """
        return self._run(self._client.routes_set(address=address, routes=routes))

    def routes_list(self, *, address: str | None = None) -> rt.Routes:
        """See what a wallet offers to callers, and at which price.

        Errors: wallet_not_found, pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing.
        """
        return self._run(self._client.routes_list(address=address))

    def bucket_show(self, address: str) -> rt.Bucket:
        """See what is left in a bucket: what a wake page tells of it, also for whoever has no sandbox.

        Errors: wallet_not_found.
        """
        return self._run(self._client.bucket_show(address))

    def bucket_deposit(
        self,
        *,
        address: str,
        sats: int,
        reference: str | None = None,
        max_sats: int | None = None,
        asset: str | None = None,
        sponsored: bool = False,
    ) -> m.Paid:
        """Put money into a bucket, to pay for calls from it; answers 402 with offers until it is paid.

        Pays within `max_sats` (default: the client's), once: after a lost answer the same signed bytes are repeated.

        Errors: payment_required, payment_malformed, payment_version_unsupported, payment_v1_unsupported,
        payment_identifier_invalid, payment_identifier_conflict, payment_target_conflict, payment_wrong_network,
        payment_multisig_unsupported, payment_payload_unsupported, payment_wrong_asset, payment_wrong_recipient,
        payment_amount_insufficient, payment_signature_invalid, payment_sender_mismatch, payment_to_self,
        payment_post_conditions_abort, payment_fee_too_low, payment_nonce_stale, payment_nonce_gap, payment_in_flight,
        sponsored_unsupported, payment_insufficient_funds, payment_refused, payment_failed, quote_expired,
        quote_invalid, asset_not_offered, payer_on_hold, no_capacity, node_unavailable.
        """
        return self._run(
            self._client.bucket_deposit(
                address=address, sats=sats, reference=reference, max_sats=max_sats, asset=asset, sponsored=sponsored
            )
        )

    def checkpoints_list(self, *, after: int = 0, limit: int = 50, last: bool = False) -> cp.Checkpoints:
        """Read the signed checkpoints over the heads of all wallets."""
        return self._run(self._client.checkpoints_list(after=after, limit=limit, last=last))

    def checkpoints_proof(self, *, address: str | None = None) -> cp.InclusionProof:
        """Get proof that a checkpoint holds the head of your journal.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, checkpoint_not_found.
        """
        return self._run(self._client.checkpoints_proof(address=address))

    def operator_checkpoint(self) -> cp.MadeCheckpoint:
        """Make a checkpoint now.

        Errors: operator_only.
        """
        return self._run(self._client.operator_checkpoint())

    def disputes_open(
        self, *, address: str | None = None, seq: int | None = None, receipt: str | None = None, reason: str
    ) -> d.Dispute:
        """Dispute an entry of your journal or a receipt.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found,
        dispute_target, dispute_too_late, dispute_limit.
        """
        return self._run(self._client.disputes_open(address=address, seq=seq, receipt=receipt, reason=reason))

    def disputes_list(self, *, address: str | None = None) -> d.Disputes:
        """See your disputes and what was said to them.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found.
        """
        return self._run(self._client.disputes_list(address=address))

    def operator_disputes(self, *, limit: int = 100) -> d.Disputes:
        """List the disputes that wait for an answer or a verdict.

        Errors: operator_only.
        """
        return self._run(self._client.operator_disputes(limit=limit))

    def operator_answer(self, dispute_id: str, text: str) -> d.Dispute:
        """Answer a dispute.

        Errors: operator_only, dispute_not_found, dispute_state.
        """
        return self._run(self._client.operator_answer(dispute_id, text))

    def operator_uphold(self, dispute_id: str, text: str, *, usat: int | None = None) -> d.Dispute:
        """Decide for the owner: what was charged wrongly is put back into the bucket, once.

        Errors: operator_only, dispute_not_found, dispute_state, dispute_amount.
        """
        return self._run(self._client.operator_uphold(dispute_id, text, usat=usat))

    def operator_deny(self, dispute_id: str, text: str) -> d.Dispute:
        """Decide against the owner.

        Errors: operator_only, dispute_not_found, dispute_state.
        """
        return self._run(self._client.operator_deny(dispute_id, text))

    def agents_resolve(self, handle: str) -> h.AgentView:
        """See whom a handle names, and its wallet here.

        Errors: handle_invalid, handle_not_found, handle_ambiguous, registry_unavailable.
        """
        return self._run(self._client.agents_resolve(handle))

    def wake_links_create(
        self,
        *,
        address: str | None = None,
        scopes: list[Literal["wake", "topup"]] | None = None,
        wakes_per_day: int = 10,
        sats_per_day: int | None = None,
        expires_seconds: int = 2592000,
        label: str = "",
    ) -> w.NewWakeLink:
        """Make a link whose holder may wake your sandbox, or pay for it, without keys.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        wake_links_full.
        """
        return self._run(
            self._client.wake_links_create(
                address=address,
                scopes=scopes,
                wakes_per_day=wakes_per_day,
                sats_per_day=sats_per_day,
                expires_seconds=expires_seconds,
                label=label,
            )
        )

    def wake_links_list(self, *, address: str | None = None) -> w.WakeLinks:
        """List your wake links and what was made of them today.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found.
        """
        return self._run(self._client.wake_links_list(address=address))

    def wake_links_revoke(self, link_id: str, *, address: str | None = None) -> w.WakeLinkView:
        """Void a wake link.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        wake_link_not_found.
        """
        return self._run(self._client.wake_links_revoke(link_id, address=address))

    def wake_links_info(self) -> w.WakeLinkInfo:
        """See what a wake link may do now, without using it.

        Errors: wake_link_invalid.
        """
        return self._run(self._client.wake_links_info())

    def api_keys_create(
        self,
        *,
        address: str | None = None,
        sats_per_call: int | None = None,
        sats_per_hour: int | None = None,
        sats_per_day: int | None = None,
        sats_total: int | None = None,
        name: str = "",
        scopes: list[str] | None = None,
        payees: list[str] | None = None,
        signer: str | None = None,
        expires_seconds: int | None = None,
    ) -> sk.NewKey:
        """Make a key that spends from your bucket within caps.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        spending_keys_full.
        """
        return self._run(
            self._client.api_keys_create(
                address=address,
                sats_per_call=sats_per_call,
                sats_per_hour=sats_per_hour,
                sats_per_day=sats_per_day,
                sats_total=sats_total,
                name=name,
                scopes=scopes,
                payees=payees,
                signer=signer,
                expires_seconds=expires_seconds,
            )
        )

    def api_keys_list(self, *, address: str | None = None) -> sk.Keys:
        """List your spending keys, what they spent and what is left.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found.
        """
        return self._run(self._client.api_keys_list(address=address))

    def api_keys_revoke(self, key_id: str, *, address: str | None = None) -> sk.KeyView:
        """Void a spending key at once.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found,
        spending_key_not_found.
        """
        return self._run(self._client.api_keys_revoke(key_id, address=address))

    def api_keys_limit_self(
        self,
        *,
        address: str | None = None,
        sats_per_call: int | None = None,
        sats_per_hour: int | None = None,
        sats_per_day: int | None = None,
        sats_total: int | None = None,
    ) -> sk.KeyView:
        """Set what your sandbox may spend by itself.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found.
        """
        return self._run(
            self._client.api_keys_limit_self(
                address=address,
                sats_per_call=sats_per_call,
                sats_per_hour=sats_per_hour,
                sats_per_day=sats_per_day,
                sats_total=sats_total,
            )
        )

    def self_show(self) -> sk.SelfView:
        """See for whom you call, what is left, and what you may spend.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found, runtime_gone,
        spending_key_invalid.
        """
        return self._run(self._client.self_show())

    def sandbox_reclaim(
        self,
        *,
        address: str | None = None,
        deposits: str | None = None,
        challenge: str | None = None,
        btc_signature: str | None = None,
        stx_signature: str | None = None,
    ) -> r.Reclaim:
        """Get what is left of your deposits back to where they came from: first a quote, then with a fresh proof of it.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found,
        reclaim_running, reclaim_owing, reclaim_deposit, reclaim_not_final, reclaim_changed, reclaim_limit,
        reclaim_nothing, challenge_invalid, challenge_expired, btc_signature_invalid, stx_signature_invalid,
        signature_high_s, pair_not_registered, pair_mismatch, level_too_low, registry_unavailable.
        """
        return self._run(
            self._client.sandbox_reclaim(
                address=address,
                deposits=deposits,
                challenge=challenge,
                btc_signature=btc_signature,
                stx_signature=stx_signature,
            )
        )

    def sandbox_reclaims(self, *, address: str | None = None) -> r.Payouts:
        """See where your payouts stand, newest first.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, wallet_not_found.
        """
        return self._run(self._client.sandbox_reclaims(address=address))

    def operator_payouts(self) -> r.Payouts:
        """List the payouts that are not over, and what they wait for.

        Errors: operator_only.
        """
        return self._run(self._client.operator_payouts())

    def operator_payout_approve(self, payout_id: str) -> r.Payout:
        """Let a payout pass that waits for you or for a limit.

        Errors: operator_only, payout_not_found, payout_state, payout_limit.
        """
        return self._run(self._client.operator_payout_approve(payout_id))

    def operator_payout_deny(self, payout_id: str) -> r.Payout:
        """Refuse a payout that is not signed yet; its wallet gets the money back.

        Errors: operator_only, payout_not_found, payout_state.
        """
        return self._run(self._client.operator_payout_deny(payout_id))

    def stacks_decode_transaction(self, hex: str) -> v.TransactionReport:
        """Read a Stacks transaction and check its signatures.

        Errors: invalid_request, not_found, overloaded, pass_missing, pass_invalid, pass_expired, pass_revoked,
        scope_missing, wallet_not_found, credit_insufficient, bytes_invalid.
        """
        return self._run(self._client.stacks_decode_transaction(hex))

    def stacks_decode_clarity(self, hex: str) -> v.ClarityReport:
        """Read a Clarity value.

        Errors: invalid_request, not_found, overloaded, pass_missing, pass_invalid, pass_expired, pass_revoked,
        scope_missing, wallet_not_found, credit_insufficient, bytes_invalid.
        """
        return self._run(self._client.stacks_decode_clarity(hex))

    def stacks_address(self, address: str) -> v.AddressReport:
        """Check a Stacks address and see it on both networks.

        Errors: invalid_request, not_found, overloaded, pass_missing, pass_invalid, pass_expired, pass_revoked,
        scope_missing, wallet_not_found, credit_insufficient, stx_address_invalid.
        """
        return self._run(self._client.stacks_address(address))

    def stacks_verify_sip018(
        self,
        *,
        domain_hex: str,
        message_hex: str,
        signature: str,
        address: str | None = None,
        network: Literal["mainnet", "testnet"] | None = None,
    ) -> v.SignatureReport:
        """Check who signed structured data (SIP-018).

        Errors: invalid_request, not_found, overloaded, pass_missing, pass_invalid, pass_expired, pass_revoked,
        scope_missing, wallet_not_found, credit_insufficient, bytes_invalid.
        """
        return self._run(
            self._client.stacks_verify_sip018(
                domain_hex=domain_hex, message_hex=message_hex, signature=signature, address=address, network=network
            )
        )

    def stacks_verify_message(
        self,
        *,
        message: str,
        signature: str,
        address: str | None = None,
        network: Literal["mainnet", "testnet"] | None = None,
    ) -> v.SignatureReport:
        """Check who signed a plain message with a Stacks wallet.

        Errors: invalid_request, not_found, overloaded, pass_missing, pass_invalid, pass_expired, pass_revoked,
        scope_missing, wallet_not_found, credit_insufficient.
        """
        return self._run(
            self._client.stacks_verify_message(message=message, signature=signature, address=address, network=network)
        )

    def stacks_verify_btc_message(self, *, address: str, message: str, signature: str) -> v.BitcoinSignatureReport:
        """Check whether a Bitcoin address signed a message (BIP-322 simple, BIP-137).

        Errors: invalid_request, not_found, overloaded, pass_missing, pass_invalid, pass_expired, pass_revoked,
        scope_missing, wallet_not_found, credit_insufficient.
        """
        return self._run(self._client.stacks_verify_btc_message(address=address, message=message, signature=signature))

    def hashing_digest(
        self,
        algorithm: Literal["sha256", "sha512", "sha512-256", "keccak256", "hash160", "ripemd160"],
        data: str,
        *,
        encoding: Literal["hex", "base64"] = "hex",
    ) -> v.HashReport:
        """Hash text or bytes.

        Errors: invalid_request, not_found, overloaded, pass_missing, pass_invalid, pass_expired, pass_revoked,
        scope_missing, wallet_not_found, credit_insufficient.
        """
        return self._run(self._client.hashing_digest(algorithm, data, encoding=encoding))

    def sandbox_visibility(self, *, address: str | None = None, public: bool | None = None) -> vi.Visibility:
        """Say whether everybody may see your agent's page; terminal, files, logs and ledger stay yours.

        Errors: pass_missing, pass_invalid, pass_expired, pass_revoked, scope_missing, not_owner, wallet_not_found.
        """
        return self._run(self._client.sandbox_visibility(address=address, public=public))

    def service_health(self) -> m.Health:
        """See whether the service and its parts work."""
        return self._run(self._client.service_health())

    def service_metrics(self) -> str:
        """Counters and histograms in Prometheus text."""
        return self._run(self._client.service_metrics())
