"""One method per operation, async and sync. What may go wrong: `design/errors.md`.

Generated from the operation registry by `python -m satbox.generate`; do not edit.
"""

from typing import Literal

from operations import budget as budget_
from operations import checkpoints as checkpoints_
from operations import commands as commands_
from operations import contexts as contexts_
from operations import disputes as disputes_
from operations import files as files_
from operations import folders as folders_
from operations import git as git_
from operations import handles as handles_
from operations import identity as identity_
from operations import ledger as ledger_
from operations import models as models_
from operations import oracle as oracle_
from operations import processes as processes_
from operations import refunds as refunds_
from operations import route_checks as route_checks_
from operations import routes as routes_
from operations import sandbox as sandbox_
from operations import secrets as secrets_
from operations import service as service_
from operations import snapshots as snapshots_
from operations import spending_keys as spending_keys_
from operations import usage as usage_
from operations import verification as verification_
from operations import visibility as visibility_
from operations import wake_links as wake_links_
from satbox.client.calls import Calls, PaymentTerms, SyncCalls, Upload

# fmt: off

class Operations(Calls):
    """Every operation of the service, as a coroutine."""

    async def gate_challenge(
        self, *, btc_address: str, stx_address: str, scope: Literal["owner", "exec", "files", "extend"] = "owner"
    ) -> identity_.Challenge:
        """Get a challenge to prove a pair of Bitcoin and Stacks addresses."""
        return await self._call(
            "gate.challenge", identity_.Challenge, btc_address=btc_address, stx_address=stx_address, scope=scope
        )

    async def gate_prove(self, *, challenge: str, btc_signature: str, stx_signature: str) -> identity_.GatePass:
        """Trade both signatures over a challenge for a gate pass."""
        return await self._call(
            "gate.prove", identity_.GatePass, challenge=challenge, btc_signature=btc_signature,
            stx_signature=stx_signature
        )

    async def gate_revoke(self) -> identity_.Revoked:
        """Void every gate pass issued for your wallet so far."""
        return await self._call("gate.revoke", identity_.Revoked)

    async def sandbox_quote(self, *, sats: int | None = None, seconds: int | None = None) -> oracle_.Quote:
        """See what sats or seconds cost in each asset; nothing is bought."""
        return await self._call("sandbox.quote", oracle_.Quote, sats=sats, seconds=seconds)

    async def oracle_prices(self) -> oracle_.Prices:
        """See what each coin is worth in sats, how sure that is, and why one is not offered."""
        return await self._call("oracle.prices", oracle_.Prices)

    async def oracle_sources(self) -> oracle_.Sources:
        """See how each price source does: last answer, age, error, weight, used or rejected."""
        return await self._call("oracle.sources", oracle_.Sources)

    async def sandbox_create(
        self, *, sats: int | None = None, seconds: int | None = None, size_class: Literal["nano", "small", "medium"] =
        "small", image: str = "base", environment: dict[str, str] | None = None, reference: str | None = None,
        max_sats: int | None = None, asset: str | None = None, sponsored: bool = False
    ) -> sandbox_.Paid:
        """Create your wallet's sandbox; answers 402 with offers until it is paid."""
        return await self._pay(
            "sandbox.create", PaymentTerms(max_sats, asset, sponsored), sats=sats, seconds=seconds,
            size_class=size_class, image=image, environment=environment, reference=reference
        )

    async def sandbox_extend(
        self, *, sats: int | None = None, seconds: int | None = None, address: str | None = None, reference: str |
        None = None, max_sats: int | None = None, asset: str | None = None, sponsored: bool = False
    ) -> sandbox_.Paid:
        """Pay more time for your sandbox, or for somebody else's as a gift; wakes a reaped one."""
        return await self._pay(
            "sandbox.extend", PaymentTerms(max_sats, asset, sponsored), sats=sats, seconds=seconds, address=address,
            reference=reference
        )

    async def payment_status(self, payment_id: str) -> sandbox_.PaymentStatus:
        """See where a payment stands."""
        return await self._call("payment.status", sandbox_.PaymentStatus, payment_id=payment_id)

    async def sandbox_status(self, *, address: str | None = None, fresh: bool = False) -> sandbox_.SandboxStatus:
        """See the sandbox's state, balance and how long it lasts."""
        return await self._call("sandbox.status", sandbox_.SandboxStatus, address=address, fresh=fresh)

    async def sandbox_wake(
        self, *, address: str | None = None, size_class: Literal["nano", "small", "medium"] | None = None, handle: str
        | None = None
    ) -> sandbox_.SandboxStatus:
        """Start a reaped sandbox on the credit that is left."""
        return await self._call(
            "sandbox.wake", sandbox_.SandboxStatus, address=address, size_class=size_class, handle=handle
        )

    async def sandbox_reap(self, *, address: str | None = None, destroy: bool = False) -> sandbox_.SandboxStatus:
        """Stop the sandbox and stop paying; the workspace and the credit are kept."""
        return await self._call("sandbox.reap", sandbox_.SandboxStatus, address=address, destroy=destroy)

    async def sandbox_pause(self, *, address: str | None = None) -> sandbox_.SandboxStatus:
        """Freeze the sandbox: it keeps its memory, burns no CPU and pays a lower rate."""
        return await self._call("sandbox.pause", sandbox_.SandboxStatus, address=address)

    async def sandbox_resume(self, *, address: str | None = None) -> sandbox_.SandboxStatus:
        """Let a paused sandbox run on."""
        return await self._call("sandbox.resume", sandbox_.SandboxStatus, address=address)

    async def sandbox_events(
        self, *, address: str | None = None, after: int = 0, limit: int = 200, follow: bool = False
    ) -> sandbox_.Events:
        """Follow what happens to your wallet."""
        return await self._call(
            "sandbox.events", sandbox_.Events, address=address, after=after, limit=limit, follow=follow
        )

    async def operator_rate(self, address: str, rate_usat_per_second: int) -> sandbox_.SandboxStatus:
        """Set the rate of one wallet."""
        return await self._call(
            "operator.rate", sandbox_.SandboxStatus, address=address, rate_usat_per_second=rate_usat_per_second
        )

    async def sandbox_exec(
        self, *, address: str | None = None, argv: list[str] | None = None, shell: str | None = None, cwd: str =
        "/workspace", env: dict[str, str] | None = None, stdin: str | None = None, timeout_seconds: float = 60,
        output_limit_bytes: int | None = None, stream: bool = False, receipt: bool = False
    ) -> commands_.ExecResult:
        """Run a command in your sandbox."""
        return await self._call(
            "sandbox.exec", commands_.ExecResult, address=address, argv=argv, shell=shell, cwd=cwd, env=env,
            stdin=stdin, timeout_seconds=timeout_seconds, output_limit_bytes=output_limit_bytes, stream=stream,
            receipt=receipt
        )

    async def files_read(self, path: str, *, address: str | None = None) -> bytes:
        """Read a file."""
        return await self._download("files.read", path=path, address=address)

    async def files_write(
        self, path: str, data: Upload, *, address: str | None = None, mode: str | None = None
    ) -> models_.Done:
        """Write a file. Missing directories above it are made; it keeps its mode."""
        return await self._upload("files.write", models_.Done, data, path=path, address=address, mode=mode)

    async def files_delete(self, path: str, *, address: str | None = None) -> models_.Done:
        """Delete a file or a directory with all in it."""
        return await self._call("files.delete", models_.Done, path=path, address=address)

    async def files_list(self, path: str, *, address: str | None = None) -> files_.FileList:
        """List a directory."""
        return await self._call("files.list", files_.FileList, path=path, address=address)

    async def files_stat(self, path: str, *, address: str | None = None) -> files_.FileInfo:
        """See what a path is."""
        return await self._call("files.stat", files_.FileInfo, path=path, address=address)

    async def files_mkdir(self, path: str, *, address: str | None = None) -> models_.Done:
        """Make a directory and its parents."""
        return await self._call("files.mkdir", models_.Done, path=path, address=address)

    async def files_move(
        self, path: str, to: str, *, address: str | None = None, overwrite: bool = False
    ) -> models_.Done:
        """Move or rename a file."""
        return await self._call("files.move", models_.Done, path=path, to=to, address=address, overwrite=overwrite)

    async def files_pack(
        self, path: str, *, address: str | None = None, format: Literal["tar", "tar.gz", "zip"] = "tar.gz"
    ) -> bytes:
        """Get a folder as an archive."""
        return await self._download("files.pack", path=path, address=address, format=format)

    async def files_unpack(
        self, path: str, data: Upload, *, address: str | None = None, format: Literal["tar", "tar.gz", "zip"] =
        "tar.gz"
    ) -> folders_.Unpacked:
        """Unpack an archive into a folder: all of it, or nothing."""
        return await self._upload("files.unpack", folders_.Unpacked, data, path=path, address=address, format=format)

    async def processes_start(
        self, *, address: str | None = None, argv: list[str] | None = None, shell: str | None = None, cwd: str =
        "/workspace", env: dict[str, str] | None = None, timeout_seconds: float = 0, unattended_seconds: float = 0,
        terminal: bool = False, rows: int = 24, columns: int = 80
    ) -> processes_.ProcessView:
        """Start a process in the background; it goes on when the request has ended."""
        return await self._call(
            "processes.start", processes_.ProcessView, address=address, argv=argv, shell=shell, cwd=cwd, env=env,
            timeout_seconds=timeout_seconds, unattended_seconds=unattended_seconds, terminal=terminal, rows=rows,
            columns=columns
        )

    async def processes_list(self, *, address: str | None = None) -> processes_.ProcessList:
        """List background processes, running and ended."""
        return await self._call("processes.list", processes_.ProcessList, address=address)

    async def processes_get(self, process_id: str, *, address: str | None = None) -> processes_.ProcessView:
        """See a background process and how it ended."""
        return await self._call("processes.get", processes_.ProcessView, process_id=process_id, address=address)

    async def processes_kill(self, process_id: str, *, address: str | None = None) -> processes_.ProcessView:
        """End a process and all it started, and forget its log."""
        return await self._call("processes.kill", processes_.ProcessView, process_id=process_id, address=address)

    async def processes_signal(
        self, process_id: str, *, address: str | None = None, signal: str = "TERM"
    ) -> processes_.Told:
        """Signal a process."""
        return await self._call(
            "processes.signal", processes_.Told, process_id=process_id, address=address, signal=signal
        )

    async def processes_write(
        self, process_id: str, *, address: str | None = None, data: str = "", end: bool = False
    ) -> processes_.Told:
        """Send a process input."""
        return await self._call(
            "processes.write", processes_.Told, process_id=process_id, address=address, data=data, end=end
        )

    async def processes_resize(
        self, process_id: str, *, address: str | None = None, rows: int, columns: int
    ) -> processes_.Told:
        """Tell a process's terminal its size."""
        return await self._call(
            "processes.resize", processes_.Told, process_id=process_id, address=address, rows=rows, columns=columns
        )

    async def processes_wait(
        self, process_id: str, *, address: str | None = None, until: Literal["exit", "text", "port"] = "exit", text:
        str | None = None, port: int | None = None, after: int = 0, timeout_seconds: float = 60
    ) -> processes_.Waited:
        """Wait for a process's end, for text it writes, or for a port it opens."""
        return await self._call(
            "processes.wait", processes_.Waited, process_id=process_id, address=address, until=until, text=text,
            port=port, after=after, timeout_seconds=timeout_seconds
        )

    async def processes_logs(
        self, process_id: str, *, address: str | None = None, after: int = 0, limit_bytes: int = 1048576, follow: bool
        = False
    ) -> processes_.Logs:
        """Read what a process wrote, from a cursor on."""
        return await self._call(
            "processes.logs", processes_.Logs, process_id=process_id, address=address, after=after,
            limit_bytes=limit_bytes, follow=follow
        )

    async def ports_list(self, *, address: str | None = None) -> processes_.Ports:
        """List the TCP ports that somebody listens on inside."""
        return await self._call("ports.list", processes_.Ports, address=address)

    async def ports_expose(
        self, port: int, *, address: str | None = None, seconds: int = 3600
    ) -> processes_.PortToken:
        """Let holders of the token reach a server in your sandbox."""
        return await self._call("ports.expose", processes_.PortToken, port=port, address=address, seconds=seconds)

    async def ports_revoke(self, port: int, *, address: str | None = None) -> processes_.Told:
        """Void every token of a port."""
        return await self._call("ports.revoke", processes_.Told, port=port, address=address)

    async def contexts_create(
        self, *, address: str | None = None, cwd: str = "/workspace", env: dict[str, str] | None = None
    ) -> contexts_.Context:
        """Start a Python that keeps its variables between runs (image: python)."""
        return await self._call("contexts.create", contexts_.Context, address=address, cwd=cwd, env=env)

    async def contexts_list(self, *, address: str | None = None) -> contexts_.ContextList:
        """List code contexts."""
        return await self._call("contexts.list", contexts_.ContextList, address=address)

    async def contexts_run(
        self, context_id: str, code: str, *, address: str | None = None, timeout_seconds: float = 60, stream: bool =
        False
    ) -> contexts_.RunResult:
        """Run Python in a context: output, values, pictures, exceptions."""
        return await self._call(
            "contexts.run", contexts_.RunResult, context_id=context_id, code=code, address=address,
            timeout_seconds=timeout_seconds, stream=stream
        )

    async def contexts_interrupt(self, context_id: str, *, address: str | None = None) -> models_.Done:
        """Interrupt what runs in a context, as ctrl-C would."""
        return await self._call("contexts.interrupt", models_.Done, context_id=context_id, address=address)

    async def contexts_delete(self, context_id: str, *, address: str | None = None) -> models_.Done:
        """End a context; its variables are gone."""
        return await self._call("contexts.delete", models_.Done, context_id=context_id, address=address)

    async def snapshots_create(self, name: str, *, address: str | None = None) -> snapshots_.Snapshot:
        """Keep the workspace as it is now, under a name; everything stands still meanwhile."""
        return await self._call("snapshots.create", snapshots_.Snapshot, name=name, address=address)

    async def snapshots_list(self, *, address: str | None = None) -> snapshots_.SnapshotList:
        """List the snapshots of your workspace."""
        return await self._call("snapshots.list", snapshots_.SnapshotList, address=address)

    async def snapshots_restore(self, digest: str, *, address: str | None = None) -> sandbox_.SandboxStatus:
        """Go on from a snapshot: at once when the sandbox runs, else at its next start. What is there now is kept as one too."""
        return await self._call("snapshots.restore", sandbox_.SandboxStatus, digest=digest, address=address)

    async def snapshots_delete(self, digest: str, *, address: str | None = None) -> models_.Done:
        """Delete a snapshot, for good."""
        return await self._call("snapshots.delete", models_.Done, digest=digest, address=address)

    async def git_clone(
        self, url: str, *, address: str | None = None, path: str = "/workspace/repo", branch: str | None = None,
        depth: int | None = None, secret: str | None = None, timeout_seconds: float = 300
    ) -> git_.Cloned:
        """Clone a git repository into the workspace, through the egress proxy. Hooks do not run, submodules are left out."""
        return await self._call(
            "git.clone", git_.Cloned, url=url, address=address, path=path, branch=branch, depth=depth, secret=secret,
            timeout_seconds=timeout_seconds
        )

    async def secrets_set(
        self, name: str, *, address: str | None = None, kind: Literal["env", "header"] = "env", value: str = "",
        alias: str | None = None, upstream: str | None = None, header: str | None = None, template: str | None = None
    ) -> secrets_.Secret:
        """Keep a secret: a variable for commands inside, or a header that is added to requests on their way out."""
        return await self._call(
            "secrets.set", secrets_.Secret, name=name, address=address, kind=kind, value=value, alias=alias,
            upstream=upstream, header=header, template=template
        )

    async def secrets_list(self, *, address: str | None = None) -> secrets_.SecretList:
        """List your secrets: names and kinds, never values."""
        return await self._call("secrets.list", secrets_.SecretList, address=address)

    async def secrets_delete(self, name: str, *, address: str | None = None) -> models_.Done:
        """Delete a secret; commands that run already keep the variables they have."""
        return await self._call("secrets.delete", models_.Done, name=name, address=address)

    async def sandbox_usage(self, *, address: str | None = None, seconds: int = 600) -> usage_.Usage:
        """See what your sandbox uses, now and over the last hour: CPU, memory, disk, egress."""
        return await self._call("sandbox.usage", usage_.Usage, address=address, seconds=seconds)

    async def sandbox_budget(
        self, *, address: str | None = None, max_sats_per_hour: int | None = None, max_sats_per_hour_by_meter:
        dict[str, int] | None = None, max_sats_per_call: int | None = None, warn_seconds: list[int] | None = None,
        remove: bool = False
    ) -> sandbox_.SandboxStatus:
        """Say what your sandbox may cost an hour and a call, and when to warn you; it is frozen when that is used up."""
        return await self._call(
            "sandbox.budget", sandbox_.SandboxStatus, address=address, max_sats_per_hour=max_sats_per_hour,
            max_sats_per_hour_by_meter=max_sats_per_hour_by_meter, max_sats_per_call=max_sats_per_call,
            warn_seconds=warn_seconds, remove=remove
        )

    async def sandbox_meters(self) -> budget_.Meters:
        """See what is metered, in which unit, at which rate."""
        return await self._call("sandbox.meters", budget_.Meters)

    async def routes_set(
        self, *, address: str | None = None, routes: list[routes_.RouteInput] | None = None
    ) -> routes_.Routes:
        """Say what strangers may reach inside your sandbox, and at which price a call."""
        return await self._call("routes.set", routes_.Routes, address=address, routes=routes)

    async def routes_list(self, *, address: str | None = None) -> routes_.Routes:
        """See what a wallet offers to callers, and at which price."""
        return await self._call("routes.list", routes_.Routes, address=address)

    async def bucket_show(self, address: str) -> routes_.Bucket:
        """See what is left in a bucket: what a wake page shows of it, also without a sandbox."""
        return await self._call("bucket.show", routes_.Bucket, address=address)

    async def bucket_deposit(
        self, *, address: str, sats: int, reference: str | None = None, max_sats: int | None = None, asset: str | None
        = None, sponsored: bool = False
    ) -> sandbox_.Paid:
        """Put money into a bucket, to pay for calls from it; answers 402 with offers until it is paid."""
        return await self._pay(
            "bucket.deposit", PaymentTerms(max_sats, asset, sponsored), address=address, sats=sats,
            reference=reference
        )

    async def routes_check(
        self, port: int, path: str, *, address: str | None = None, method: str = "GET"
    ) -> route_checks_.RouteCheck:
        """See which of your routes a call would fall under, and what it would cost. Nothing is called."""
        return await self._call(
            "routes.check", route_checks_.RouteCheck, port=port, path=path, address=address, method=method
        )

    async def sandbox_ledger(
        self, *, address: str | None = None, since: str | None = None, until: str | None = None, after: int = 0,
        limit: int = 200
    ) -> ledger_.Ledger:
        """Read your journal: every deposit and charge, hash-chained, each page signed."""
        return await self._call(
            "sandbox.ledger", ledger_.Ledger, address=address, since=since, until=until, after=after, limit=limit
        )

    async def sandbox_statement(
        self, *, address: str | None = None, since: str | None = None, until: str | None = None, after: int = 0,
        format: Literal["sqlite", "json", "csv"] = "sqlite"
    ) -> bytes:
        """Get a signed statement of your journal as one file, to check offline: SQLite, JSON or CSV."""
        return await self._download(
            "sandbox.statement", address=address, since=since, until=until, after=after, format=format
        )

    async def service_key(self) -> ledger_.Key:
        """The operator's public key, which receipts, statements and checkpoints verify with."""
        return await self._call("service.key", ledger_.Key)

    async def sandbox_meter(self, *, address: str | None = None) -> ledger_.MeterExplanation:
        """Check every charge by hand: spans, rate, remainders and sum."""
        return await self._call("sandbox.meter", ledger_.MeterExplanation, address=address)

    async def checkpoints_list(
        self, *, after: int = 0, limit: int = 50, last: bool = False
    ) -> checkpoints_.Checkpoints:
        """Read the signed checkpoints over the heads of all wallets."""
        return await self._call("checkpoints.list", checkpoints_.Checkpoints, after=after, limit=limit, last=last)

    async def checkpoints_proof(self, *, address: str | None = None) -> checkpoints_.InclusionProof:
        """Get proof that a checkpoint holds the head of your journal."""
        return await self._call("checkpoints.proof", checkpoints_.InclusionProof, address=address)

    async def operator_checkpoint(self) -> checkpoints_.MadeCheckpoint:
        """Make a checkpoint now."""
        return await self._call("operator.checkpoint", checkpoints_.MadeCheckpoint)

    async def disputes_open(
        self, *, address: str | None = None, seq: int | None = None, receipt: str | None = None, reason: str
    ) -> disputes_.Dispute:
        """Dispute an entry of your journal or a receipt."""
        return await self._call(
            "disputes.open", disputes_.Dispute, address=address, seq=seq, receipt=receipt, reason=reason
        )

    async def disputes_list(self, *, address: str | None = None) -> disputes_.Disputes:
        """See your disputes and what was said to them."""
        return await self._call("disputes.list", disputes_.Disputes, address=address)

    async def operator_disputes(self, *, limit: int = 100) -> disputes_.Disputes:
        """List the disputes that wait for an answer or a verdict."""
        return await self._call("operator.disputes", disputes_.Disputes, limit=limit)

    async def operator_answer(self, dispute_id: str, text: str) -> disputes_.Dispute:
        """Answer a dispute."""
        return await self._call("operator.answer", disputes_.Dispute, dispute_id=dispute_id, text=text)

    async def operator_uphold(self, dispute_id: str, text: str, *, usat: int | None = None) -> disputes_.Dispute:
        """Decide for the owner: what was charged wrongly is put back into the bucket, once."""
        return await self._call("operator.uphold", disputes_.Dispute, dispute_id=dispute_id, text=text, usat=usat)

    async def operator_deny(self, dispute_id: str, text: str) -> disputes_.Dispute:
        """Decide against the owner."""
        return await self._call("operator.deny", disputes_.Dispute, dispute_id=dispute_id, text=text)

    async def agents_resolve(self, handle: str) -> handles_.AgentView:
        """See whom a handle names, and its wallet here."""
        return await self._call("agents.resolve", handles_.AgentView, handle=handle)

    async def wake_links_create(
        self, *, address: str | None = None, scopes: list[Literal["wake", "topup"]] | None = None, wakes_per_day: int
        = 10, sats_per_day: int | None = None, expires_seconds: int = 2592000, label: str = ""
    ) -> wake_links_.NewWakeLink:
        """Make a link whose holder may wake your sandbox, or pay for it, without keys."""
        return await self._call(
            "wake_links.create", wake_links_.NewWakeLink, address=address, scopes=scopes, wakes_per_day=wakes_per_day,
            sats_per_day=sats_per_day, expires_seconds=expires_seconds, label=label
        )

    async def wake_links_list(self, *, address: str | None = None) -> wake_links_.WakeLinks:
        """List your wake links and what was made of them today."""
        return await self._call("wake_links.list", wake_links_.WakeLinks, address=address)

    async def wake_links_revoke(self, link_id: str, *, address: str | None = None) -> wake_links_.WakeLinkView:
        """Void a wake link."""
        return await self._call("wake_links.revoke", wake_links_.WakeLinkView, link_id=link_id, address=address)

    async def wake_links_info(self) -> wake_links_.WakeLinkInfo:
        """See what a wake link may do now, without using it."""
        return await self._call("wake_links.info", wake_links_.WakeLinkInfo)

    async def api_keys_create(
        self, *, address: str | None = None, sats_per_call: int | None = None, sats_per_hour: int | None = None,
        sats_per_day: int | None = None, sats_total: int | None = None, name: str = "", scopes: list[str] | None =
        None, payees: list[str] | None = None, signer: str | None = None, expires_seconds: int | None = None
    ) -> spending_keys_.NewKey:
        """Make a key that spends from your bucket within caps."""
        return await self._call(
            "api_keys.create", spending_keys_.NewKey, address=address, sats_per_call=sats_per_call,
            sats_per_hour=sats_per_hour, sats_per_day=sats_per_day, sats_total=sats_total, name=name, scopes=scopes,
            payees=payees, signer=signer, expires_seconds=expires_seconds
        )

    async def api_keys_list(self, *, address: str | None = None) -> spending_keys_.Keys:
        """List your spending keys, what they spent and what is left."""
        return await self._call("api_keys.list", spending_keys_.Keys, address=address)

    async def api_keys_revoke(self, key_id: str, *, address: str | None = None) -> spending_keys_.KeyView:
        """Void a spending key at once."""
        return await self._call("api_keys.revoke", spending_keys_.KeyView, key_id=key_id, address=address)

    async def api_keys_limit_self(
        self, *, address: str | None = None, sats_per_call: int | None = None, sats_per_hour: int | None = None,
        sats_per_day: int | None = None, sats_total: int | None = None
    ) -> spending_keys_.KeyView:
        """Set what your sandbox may spend by itself."""
        return await self._call(
            "api_keys.limit_self", spending_keys_.KeyView, address=address, sats_per_call=sats_per_call,
            sats_per_hour=sats_per_hour, sats_per_day=sats_per_day, sats_total=sats_total
        )

    async def self_show(self) -> spending_keys_.SelfView:
        """See for whom you call, what is left, and what you may spend."""
        return await self._call("self.show", spending_keys_.SelfView)

    async def sandbox_reclaim(
        self, *, address: str | None = None, deposits: str | None = None, challenge: str | None = None, btc_signature:
        str | None = None, stx_signature: str | None = None
    ) -> refunds_.Reclaim:
        """Get what is left of your deposits back to where they came from: first a quote, then with a fresh proof of it."""
        return await self._call(
            "sandbox.reclaim", refunds_.Reclaim, address=address, deposits=deposits, challenge=challenge,
            btc_signature=btc_signature, stx_signature=stx_signature
        )

    async def sandbox_reclaims(self, *, address: str | None = None) -> refunds_.Payouts:
        """See where your payouts stand, newest first."""
        return await self._call("sandbox.reclaims", refunds_.Payouts, address=address)

    async def operator_payouts(self) -> refunds_.Payouts:
        """List the payouts that are not over, and what they wait for."""
        return await self._call("operator.payouts", refunds_.Payouts)

    async def operator_payout_approve(self, payout_id: str) -> refunds_.Payout:
        """Let a payout pass that waits for you or for a limit."""
        return await self._call("operator.payout_approve", refunds_.Payout, payout_id=payout_id)

    async def operator_payout_deny(self, payout_id: str) -> refunds_.Payout:
        """Refuse a payout that is not signed yet; its wallet gets the money back."""
        return await self._call("operator.payout_deny", refunds_.Payout, payout_id=payout_id)

    async def stacks_decode_transaction(self, hex: str) -> verification_.TransactionReport:
        """Read a Stacks transaction and check its signatures."""
        return await self._call("stacks.decode_transaction", verification_.TransactionReport, hex=hex)

    async def stacks_decode_clarity(self, hex: str) -> verification_.ClarityReport:
        """Read a Clarity value."""
        return await self._call("stacks.decode_clarity", verification_.ClarityReport, hex=hex)

    async def stacks_address(self, address: str) -> verification_.AddressReport:
        """Check a Stacks address and see it on both networks."""
        return await self._call("stacks.address", verification_.AddressReport, address=address)

    async def stacks_verify_sip018(
        self, *, domain_hex: str, message_hex: str, signature: str, address: str | None = None, network:
        Literal["mainnet", "testnet"] | None = None
    ) -> verification_.SignatureReport:
        """Check who signed structured data (SIP-018)."""
        return await self._call(
            "stacks.verify_sip018", verification_.SignatureReport, domain_hex=domain_hex, message_hex=message_hex,
            signature=signature, address=address, network=network
        )

    async def stacks_verify_message(
        self, *, message: str, signature: str, address: str | None = None, network: Literal["mainnet", "testnet"] |
        None = None
    ) -> verification_.SignatureReport:
        """Check who signed a plain message with a Stacks wallet."""
        return await self._call(
            "stacks.verify_message", verification_.SignatureReport, message=message, signature=signature,
            address=address, network=network
        )

    async def stacks_verify_btc_message(
        self, *, address: str, message: str, signature: str
    ) -> verification_.BitcoinSignatureReport:
        """Check whether a Bitcoin address signed a message (BIP-322 simple, BIP-137)."""
        return await self._call(
            "stacks.verify_btc_message", verification_.BitcoinSignatureReport, address=address, message=message,
            signature=signature
        )

    async def hashing_digest(
        self, algorithm: Literal["sha256", "sha512", "sha512-256", "keccak256", "hash160", "ripemd160"], data: str, *,
        encoding: Literal["hex", "base64"] = "hex"
    ) -> verification_.HashReport:
        """Hash text or bytes."""
        return await self._call(
            "hashing.digest", verification_.HashReport, algorithm=algorithm, data=data, encoding=encoding
        )

    async def sandbox_visibility(
        self, *, address: str | None = None, public: bool | None = None
    ) -> visibility_.Visibility:
        """Say whether everybody may see your agent's page; terminal, files, logs and ledger stay yours."""
        return await self._call("sandbox.visibility", visibility_.Visibility, address=address, public=public)

    async def service_health(self) -> service_.Health:
        """See whether the service and its parts work."""
        return await self._call("service.health", service_.Health)

    async def service_metrics(self) -> str:
        """Counters and histograms in Prometheus text."""
        return await self._text("service.metrics")


class SyncOperations(SyncCalls[Operations]):
    """The same, blocking."""

    def gate_challenge(
        self, *, btc_address: str, stx_address: str, scope: Literal["owner", "exec", "files", "extend"] = "owner"
    ) -> identity_.Challenge:
        """Get a challenge to prove a pair of Bitcoin and Stacks addresses."""
        return self._run(self._client.gate_challenge(btc_address=btc_address, stx_address=stx_address, scope=scope))

    def gate_prove(self, *, challenge: str, btc_signature: str, stx_signature: str) -> identity_.GatePass:
        """Trade both signatures over a challenge for a gate pass."""
        return self._run(self._client.gate_prove(
            challenge=challenge, btc_signature=btc_signature, stx_signature=stx_signature
        ))

    def gate_revoke(self) -> identity_.Revoked:
        """Void every gate pass issued for your wallet so far."""
        return self._run(self._client.gate_revoke())

    def sandbox_quote(self, *, sats: int | None = None, seconds: int | None = None) -> oracle_.Quote:
        """See what sats or seconds cost in each asset; nothing is bought."""
        return self._run(self._client.sandbox_quote(sats=sats, seconds=seconds))

    def oracle_prices(self) -> oracle_.Prices:
        """See what each coin is worth in sats, how sure that is, and why one is not offered."""
        return self._run(self._client.oracle_prices())

    def oracle_sources(self) -> oracle_.Sources:
        """See how each price source does: last answer, age, error, weight, used or rejected."""
        return self._run(self._client.oracle_sources())

    def sandbox_create(
        self, *, sats: int | None = None, seconds: int | None = None, size_class: Literal["nano", "small", "medium"] =
        "small", image: str = "base", environment: dict[str, str] | None = None, reference: str | None = None,
        max_sats: int | None = None, asset: str | None = None, sponsored: bool = False
    ) -> sandbox_.Paid:
        """Create your wallet's sandbox; answers 402 with offers until it is paid."""
        return self._run(self._client.sandbox_create(
            sats=sats, seconds=seconds, size_class=size_class, image=image, environment=environment,
            reference=reference, max_sats=max_sats, asset=asset, sponsored=sponsored
        ))

    def sandbox_extend(
        self, *, sats: int | None = None, seconds: int | None = None, address: str | None = None, reference: str |
        None = None, max_sats: int | None = None, asset: str | None = None, sponsored: bool = False
    ) -> sandbox_.Paid:
        """Pay more time for your sandbox, or for somebody else's as a gift; wakes a reaped one."""
        return self._run(self._client.sandbox_extend(
            sats=sats, seconds=seconds, address=address, reference=reference, max_sats=max_sats, asset=asset,
            sponsored=sponsored
        ))

    def payment_status(self, payment_id: str) -> sandbox_.PaymentStatus:
        """See where a payment stands."""
        return self._run(self._client.payment_status(payment_id))

    def sandbox_status(self, *, address: str | None = None, fresh: bool = False) -> sandbox_.SandboxStatus:
        """See the sandbox's state, balance and how long it lasts."""
        return self._run(self._client.sandbox_status(address=address, fresh=fresh))

    def sandbox_wake(
        self, *, address: str | None = None, size_class: Literal["nano", "small", "medium"] | None = None, handle: str
        | None = None
    ) -> sandbox_.SandboxStatus:
        """Start a reaped sandbox on the credit that is left."""
        return self._run(self._client.sandbox_wake(address=address, size_class=size_class, handle=handle))

    def sandbox_reap(self, *, address: str | None = None, destroy: bool = False) -> sandbox_.SandboxStatus:
        """Stop the sandbox and stop paying; the workspace and the credit are kept."""
        return self._run(self._client.sandbox_reap(address=address, destroy=destroy))

    def sandbox_pause(self, *, address: str | None = None) -> sandbox_.SandboxStatus:
        """Freeze the sandbox: it keeps its memory, burns no CPU and pays a lower rate."""
        return self._run(self._client.sandbox_pause(address=address))

    def sandbox_resume(self, *, address: str | None = None) -> sandbox_.SandboxStatus:
        """Let a paused sandbox run on."""
        return self._run(self._client.sandbox_resume(address=address))

    def sandbox_events(
        self, *, address: str | None = None, after: int = 0, limit: int = 200, follow: bool = False
    ) -> sandbox_.Events:
        """Follow what happens to your wallet."""
        return self._run(self._client.sandbox_events(address=address, after=after, limit=limit, follow=follow))

    def operator_rate(self, address: str, rate_usat_per_second: int) -> sandbox_.SandboxStatus:
        """Set the rate of one wallet."""
        return self._run(self._client.operator_rate(address, rate_usat_per_second))

    def sandbox_exec(
        self, *, address: str | None = None, argv: list[str] | None = None, shell: str | None = None, cwd: str =
        "/workspace", env: dict[str, str] | None = None, stdin: str | None = None, timeout_seconds: float = 60,
        output_limit_bytes: int | None = None, stream: bool = False, receipt: bool = False
    ) -> commands_.ExecResult:
        """Run a command in your sandbox."""
        return self._run(self._client.sandbox_exec(
            address=address, argv=argv, shell=shell, cwd=cwd, env=env, stdin=stdin, timeout_seconds=timeout_seconds,
            output_limit_bytes=output_limit_bytes, stream=stream, receipt=receipt
        ))

    def files_read(self, path: str, *, address: str | None = None) -> bytes:
        """Read a file."""
        return self._run(self._client.files_read(path, address=address))

    def files_write(
        self, path: str, data: Upload, *, address: str | None = None, mode: str | None = None
    ) -> models_.Done:
        """Write a file. Missing directories above it are made; it keeps its mode."""
        return self._run(self._client.files_write(path, data, address=address, mode=mode))

    def files_delete(self, path: str, *, address: str | None = None) -> models_.Done:
        """Delete a file or a directory with all in it."""
        return self._run(self._client.files_delete(path, address=address))

    def files_list(self, path: str, *, address: str | None = None) -> files_.FileList:
        """List a directory."""
        return self._run(self._client.files_list(path, address=address))

    def files_stat(self, path: str, *, address: str | None = None) -> files_.FileInfo:
        """See what a path is."""
        return self._run(self._client.files_stat(path, address=address))

    def files_mkdir(self, path: str, *, address: str | None = None) -> models_.Done:
        """Make a directory and its parents."""
        return self._run(self._client.files_mkdir(path, address=address))

    def files_move(self, path: str, to: str, *, address: str | None = None, overwrite: bool = False) -> models_.Done:
        """Move or rename a file."""
        return self._run(self._client.files_move(path, to, address=address, overwrite=overwrite))

    def files_pack(
        self, path: str, *, address: str | None = None, format: Literal["tar", "tar.gz", "zip"] = "tar.gz"
    ) -> bytes:
        """Get a folder as an archive."""
        return self._run(self._client.files_pack(path, address=address, format=format))

    def files_unpack(
        self, path: str, data: Upload, *, address: str | None = None, format: Literal["tar", "tar.gz", "zip"] =
        "tar.gz"
    ) -> folders_.Unpacked:
        """Unpack an archive into a folder: all of it, or nothing."""
        return self._run(self._client.files_unpack(path, data, address=address, format=format))

    def processes_start(
        self, *, address: str | None = None, argv: list[str] | None = None, shell: str | None = None, cwd: str =
        "/workspace", env: dict[str, str] | None = None, timeout_seconds: float = 0, unattended_seconds: float = 0,
        terminal: bool = False, rows: int = 24, columns: int = 80
    ) -> processes_.ProcessView:
        """Start a process in the background; it goes on when the request has ended."""
        return self._run(self._client.processes_start(
            address=address, argv=argv, shell=shell, cwd=cwd, env=env, timeout_seconds=timeout_seconds,
            unattended_seconds=unattended_seconds, terminal=terminal, rows=rows, columns=columns
        ))

    def processes_list(self, *, address: str | None = None) -> processes_.ProcessList:
        """List background processes, running and ended."""
        return self._run(self._client.processes_list(address=address))

    def processes_get(self, process_id: str, *, address: str | None = None) -> processes_.ProcessView:
        """See a background process and how it ended."""
        return self._run(self._client.processes_get(process_id, address=address))

    def processes_kill(self, process_id: str, *, address: str | None = None) -> processes_.ProcessView:
        """End a process and all it started, and forget its log."""
        return self._run(self._client.processes_kill(process_id, address=address))

    def processes_signal(
        self, process_id: str, *, address: str | None = None, signal: str = "TERM"
    ) -> processes_.Told:
        """Signal a process."""
        return self._run(self._client.processes_signal(process_id, address=address, signal=signal))

    def processes_write(
        self, process_id: str, *, address: str | None = None, data: str = "", end: bool = False
    ) -> processes_.Told:
        """Send a process input."""
        return self._run(self._client.processes_write(process_id, address=address, data=data, end=end))

    def processes_resize(
        self, process_id: str, *, address: str | None = None, rows: int, columns: int
    ) -> processes_.Told:
        """Tell a process's terminal its size."""
        return self._run(self._client.processes_resize(process_id, address=address, rows=rows, columns=columns))

    def processes_wait(
        self, process_id: str, *, address: str | None = None, until: Literal["exit", "text", "port"] = "exit", text:
        str | None = None, port: int | None = None, after: int = 0, timeout_seconds: float = 60
    ) -> processes_.Waited:
        """Wait for a process's end, for text it writes, or for a port it opens."""
        return self._run(self._client.processes_wait(
            process_id, address=address, until=until, text=text, port=port, after=after,
            timeout_seconds=timeout_seconds
        ))

    def processes_logs(
        self, process_id: str, *, address: str | None = None, after: int = 0, limit_bytes: int = 1048576, follow: bool
        = False
    ) -> processes_.Logs:
        """Read what a process wrote, from a cursor on."""
        return self._run(self._client.processes_logs(
            process_id, address=address, after=after, limit_bytes=limit_bytes, follow=follow
        ))

    def ports_list(self, *, address: str | None = None) -> processes_.Ports:
        """List the TCP ports that somebody listens on inside."""
        return self._run(self._client.ports_list(address=address))

    def ports_expose(self, port: int, *, address: str | None = None, seconds: int = 3600) -> processes_.PortToken:
        """Let holders of the token reach a server in your sandbox."""
        return self._run(self._client.ports_expose(port, address=address, seconds=seconds))

    def ports_revoke(self, port: int, *, address: str | None = None) -> processes_.Told:
        """Void every token of a port."""
        return self._run(self._client.ports_revoke(port, address=address))

    def contexts_create(
        self, *, address: str | None = None, cwd: str = "/workspace", env: dict[str, str] | None = None
    ) -> contexts_.Context:
        """Start a Python that keeps its variables between runs (image: python)."""
        return self._run(self._client.contexts_create(address=address, cwd=cwd, env=env))

    def contexts_list(self, *, address: str | None = None) -> contexts_.ContextList:
        """List code contexts."""
        return self._run(self._client.contexts_list(address=address))

    def contexts_run(
        self, context_id: str, code: str, *, address: str | None = None, timeout_seconds: float = 60, stream: bool =
        False
    ) -> contexts_.RunResult:
        """Run Python in a context: output, values, pictures, exceptions."""
        return self._run(self._client.contexts_run(
            context_id, code, address=address, timeout_seconds=timeout_seconds, stream=stream
        ))

    def contexts_interrupt(self, context_id: str, *, address: str | None = None) -> models_.Done:
        """Interrupt what runs in a context, as ctrl-C would."""
        return self._run(self._client.contexts_interrupt(context_id, address=address))

    def contexts_delete(self, context_id: str, *, address: str | None = None) -> models_.Done:
        """End a context; its variables are gone."""
        return self._run(self._client.contexts_delete(context_id, address=address))

    def snapshots_create(self, name: str, *, address: str | None = None) -> snapshots_.Snapshot:
        """Keep the workspace as it is now, under a name; everything stands still meanwhile."""
        return self._run(self._client.snapshots_create(name, address=address))

    def snapshots_list(self, *, address: str | None = None) -> snapshots_.SnapshotList:
        """List the snapshots of your workspace."""
        return self._run(self._client.snapshots_list(address=address))

    def snapshots_restore(self, digest: str, *, address: str | None = None) -> sandbox_.SandboxStatus:
        """Go on from a snapshot: at once when the sandbox runs, else at its next start. What is there now is kept as one too."""
        return self._run(self._client.snapshots_restore(digest, address=address))

    def snapshots_delete(self, digest: str, *, address: str | None = None) -> models_.Done:
        """Delete a snapshot, for good."""
        return self._run(self._client.snapshots_delete(digest, address=address))

    def git_clone(
        self, url: str, *, address: str | None = None, path: str = "/workspace/repo", branch: str | None = None,
        depth: int | None = None, secret: str | None = None, timeout_seconds: float = 300
    ) -> git_.Cloned:
        """Clone a git repository into the workspace, through the egress proxy. Hooks do not run, submodules are left out."""
        return self._run(self._client.git_clone(
            url, address=address, path=path, branch=branch, depth=depth, secret=secret,
            timeout_seconds=timeout_seconds
        ))

    def secrets_set(
        self, name: str, *, address: str | None = None, kind: Literal["env", "header"] = "env", value: str = "",
        alias: str | None = None, upstream: str | None = None, header: str | None = None, template: str | None = None
    ) -> secrets_.Secret:
        """Keep a secret: a variable for commands inside, or a header that is added to requests on their way out."""
        return self._run(self._client.secrets_set(
            name, address=address, kind=kind, value=value, alias=alias, upstream=upstream, header=header,
            template=template
        ))

    def secrets_list(self, *, address: str | None = None) -> secrets_.SecretList:
        """List your secrets: names and kinds, never values."""
        return self._run(self._client.secrets_list(address=address))

    def secrets_delete(self, name: str, *, address: str | None = None) -> models_.Done:
        """Delete a secret; commands that run already keep the variables they have."""
        return self._run(self._client.secrets_delete(name, address=address))

    def sandbox_usage(self, *, address: str | None = None, seconds: int = 600) -> usage_.Usage:
        """See what your sandbox uses, now and over the last hour: CPU, memory, disk, egress."""
        return self._run(self._client.sandbox_usage(address=address, seconds=seconds))

    def sandbox_budget(
        self, *, address: str | None = None, max_sats_per_hour: int | None = None, max_sats_per_hour_by_meter:
        dict[str, int] | None = None, max_sats_per_call: int | None = None, warn_seconds: list[int] | None = None,
        remove: bool = False
    ) -> sandbox_.SandboxStatus:
        """Say what your sandbox may cost an hour and a call, and when to warn you; it is frozen when that is used up."""
        return self._run(self._client.sandbox_budget(
            address=address, max_sats_per_hour=max_sats_per_hour,
            max_sats_per_hour_by_meter=max_sats_per_hour_by_meter, max_sats_per_call=max_sats_per_call,
            warn_seconds=warn_seconds, remove=remove
        ))

    def sandbox_meters(self) -> budget_.Meters:
        """See what is metered, in which unit, at which rate."""
        return self._run(self._client.sandbox_meters())

    def routes_set(
        self, *, address: str | None = None, routes: list[routes_.RouteInput] | None = None
    ) -> routes_.Routes:
        """Say what strangers may reach inside your sandbox, and at which price a call."""
        return self._run(self._client.routes_set(address=address, routes=routes))

    def routes_list(self, *, address: str | None = None) -> routes_.Routes:
        """See what a wallet offers to callers, and at which price."""
        return self._run(self._client.routes_list(address=address))

    def bucket_show(self, address: str) -> routes_.Bucket:
        """See what is left in a bucket: what a wake page shows of it, also without a sandbox."""
        return self._run(self._client.bucket_show(address))

    def bucket_deposit(
        self, *, address: str, sats: int, reference: str | None = None, max_sats: int | None = None, asset: str | None
        = None, sponsored: bool = False
    ) -> sandbox_.Paid:
        """Put money into a bucket, to pay for calls from it; answers 402 with offers until it is paid."""
        return self._run(self._client.bucket_deposit(
            address=address, sats=sats, reference=reference, max_sats=max_sats, asset=asset, sponsored=sponsored
        ))

    def routes_check(
        self, port: int, path: str, *, address: str | None = None, method: str = "GET"
    ) -> route_checks_.RouteCheck:
        """See which of your routes a call would fall under, and what it would cost. Nothing is called."""
        return self._run(self._client.routes_check(port, path, address=address, method=method))

    def sandbox_ledger(
        self, *, address: str | None = None, since: str | None = None, until: str | None = None, after: int = 0,
        limit: int = 200
    ) -> ledger_.Ledger:
        """Read your journal: every deposit and charge, hash-chained, each page signed."""
        return self._run(self._client.sandbox_ledger(
            address=address, since=since, until=until, after=after, limit=limit
        ))

    def sandbox_statement(
        self, *, address: str | None = None, since: str | None = None, until: str | None = None, after: int = 0,
        format: Literal["sqlite", "json", "csv"] = "sqlite"
    ) -> bytes:
        """Get a signed statement of your journal as one file, to check offline: SQLite, JSON or CSV."""
        return self._run(self._client.sandbox_statement(
            address=address, since=since, until=until, after=after, format=format
        ))

    def service_key(self) -> ledger_.Key:
        """The operator's public key, which receipts, statements and checkpoints verify with."""
        return self._run(self._client.service_key())

    def sandbox_meter(self, *, address: str | None = None) -> ledger_.MeterExplanation:
        """Check every charge by hand: spans, rate, remainders and sum."""
        return self._run(self._client.sandbox_meter(address=address))

    def checkpoints_list(self, *, after: int = 0, limit: int = 50, last: bool = False) -> checkpoints_.Checkpoints:
        """Read the signed checkpoints over the heads of all wallets."""
        return self._run(self._client.checkpoints_list(after=after, limit=limit, last=last))

    def checkpoints_proof(self, *, address: str | None = None) -> checkpoints_.InclusionProof:
        """Get proof that a checkpoint holds the head of your journal."""
        return self._run(self._client.checkpoints_proof(address=address))

    def operator_checkpoint(self) -> checkpoints_.MadeCheckpoint:
        """Make a checkpoint now."""
        return self._run(self._client.operator_checkpoint())

    def disputes_open(
        self, *, address: str | None = None, seq: int | None = None, receipt: str | None = None, reason: str
    ) -> disputes_.Dispute:
        """Dispute an entry of your journal or a receipt."""
        return self._run(self._client.disputes_open(address=address, seq=seq, receipt=receipt, reason=reason))

    def disputes_list(self, *, address: str | None = None) -> disputes_.Disputes:
        """See your disputes and what was said to them."""
        return self._run(self._client.disputes_list(address=address))

    def operator_disputes(self, *, limit: int = 100) -> disputes_.Disputes:
        """List the disputes that wait for an answer or a verdict."""
        return self._run(self._client.operator_disputes(limit=limit))

    def operator_answer(self, dispute_id: str, text: str) -> disputes_.Dispute:
        """Answer a dispute."""
        return self._run(self._client.operator_answer(dispute_id, text))

    def operator_uphold(self, dispute_id: str, text: str, *, usat: int | None = None) -> disputes_.Dispute:
        """Decide for the owner: what was charged wrongly is put back into the bucket, once."""
        return self._run(self._client.operator_uphold(dispute_id, text, usat=usat))

    def operator_deny(self, dispute_id: str, text: str) -> disputes_.Dispute:
        """Decide against the owner."""
        return self._run(self._client.operator_deny(dispute_id, text))

    def agents_resolve(self, handle: str) -> handles_.AgentView:
        """See whom a handle names, and its wallet here."""
        return self._run(self._client.agents_resolve(handle))

    def wake_links_create(
        self, *, address: str | None = None, scopes: list[Literal["wake", "topup"]] | None = None, wakes_per_day: int
        = 10, sats_per_day: int | None = None, expires_seconds: int = 2592000, label: str = ""
    ) -> wake_links_.NewWakeLink:
        """Make a link whose holder may wake your sandbox, or pay for it, without keys."""
        return self._run(self._client.wake_links_create(
            address=address, scopes=scopes, wakes_per_day=wakes_per_day, sats_per_day=sats_per_day,
            expires_seconds=expires_seconds, label=label
        ))

    def wake_links_list(self, *, address: str | None = None) -> wake_links_.WakeLinks:
        """List your wake links and what was made of them today."""
        return self._run(self._client.wake_links_list(address=address))

    def wake_links_revoke(self, link_id: str, *, address: str | None = None) -> wake_links_.WakeLinkView:
        """Void a wake link."""
        return self._run(self._client.wake_links_revoke(link_id, address=address))

    def wake_links_info(self) -> wake_links_.WakeLinkInfo:
        """See what a wake link may do now, without using it."""
        return self._run(self._client.wake_links_info())

    def api_keys_create(
        self, *, address: str | None = None, sats_per_call: int | None = None, sats_per_hour: int | None = None,
        sats_per_day: int | None = None, sats_total: int | None = None, name: str = "", scopes: list[str] | None =
        None, payees: list[str] | None = None, signer: str | None = None, expires_seconds: int | None = None
    ) -> spending_keys_.NewKey:
        """Make a key that spends from your bucket within caps."""
        return self._run(self._client.api_keys_create(
            address=address, sats_per_call=sats_per_call, sats_per_hour=sats_per_hour, sats_per_day=sats_per_day,
            sats_total=sats_total, name=name, scopes=scopes, payees=payees, signer=signer,
            expires_seconds=expires_seconds
        ))

    def api_keys_list(self, *, address: str | None = None) -> spending_keys_.Keys:
        """List your spending keys, what they spent and what is left."""
        return self._run(self._client.api_keys_list(address=address))

    def api_keys_revoke(self, key_id: str, *, address: str | None = None) -> spending_keys_.KeyView:
        """Void a spending key at once."""
        return self._run(self._client.api_keys_revoke(key_id, address=address))

    def api_keys_limit_self(
        self, *, address: str | None = None, sats_per_call: int | None = None, sats_per_hour: int | None = None,
        sats_per_day: int | None = None, sats_total: int | None = None
    ) -> spending_keys_.KeyView:
        """Set what your sandbox may spend by itself."""
        return self._run(self._client.api_keys_limit_self(
            address=address, sats_per_call=sats_per_call, sats_per_hour=sats_per_hour, sats_per_day=sats_per_day,
            sats_total=sats_total
        ))

    def self_show(self) -> spending_keys_.SelfView:
        """See for whom you call, what is left, and what you may spend."""
        return self._run(self._client.self_show())

    def sandbox_reclaim(
        self, *, address: str | None = None, deposits: str | None = None, challenge: str | None = None, btc_signature:
        str | None = None, stx_signature: str | None = None
    ) -> refunds_.Reclaim:
        """Get what is left of your deposits back to where they came from: first a quote, then with a fresh proof of it."""
        return self._run(self._client.sandbox_reclaim(
            address=address, deposits=deposits, challenge=challenge, btc_signature=btc_signature,
            stx_signature=stx_signature
        ))

    def sandbox_reclaims(self, *, address: str | None = None) -> refunds_.Payouts:
        """See where your payouts stand, newest first."""
        return self._run(self._client.sandbox_reclaims(address=address))

    def operator_payouts(self) -> refunds_.Payouts:
        """List the payouts that are not over, and what they wait for."""
        return self._run(self._client.operator_payouts())

    def operator_payout_approve(self, payout_id: str) -> refunds_.Payout:
        """Let a payout pass that waits for you or for a limit."""
        return self._run(self._client.operator_payout_approve(payout_id))

    def operator_payout_deny(self, payout_id: str) -> refunds_.Payout:
        """Refuse a payout that is not signed yet; its wallet gets the money back."""
        return self._run(self._client.operator_payout_deny(payout_id))

    def stacks_decode_transaction(self, hex: str) -> verification_.TransactionReport:
        """Read a Stacks transaction and check its signatures."""
        return self._run(self._client.stacks_decode_transaction(hex))

    def stacks_decode_clarity(self, hex: str) -> verification_.ClarityReport:
        """Read a Clarity value."""
        return self._run(self._client.stacks_decode_clarity(hex))

    def stacks_address(self, address: str) -> verification_.AddressReport:
        """Check a Stacks address and see it on both networks."""
        return self._run(self._client.stacks_address(address))

    def stacks_verify_sip018(
        self, *, domain_hex: str, message_hex: str, signature: str, address: str | None = None, network:
        Literal["mainnet", "testnet"] | None = None
    ) -> verification_.SignatureReport:
        """Check who signed structured data (SIP-018)."""
        return self._run(self._client.stacks_verify_sip018(
            domain_hex=domain_hex, message_hex=message_hex, signature=signature, address=address, network=network
        ))

    def stacks_verify_message(
        self, *, message: str, signature: str, address: str | None = None, network: Literal["mainnet", "testnet"] |
        None = None
    ) -> verification_.SignatureReport:
        """Check who signed a plain message with a Stacks wallet."""
        return self._run(self._client.stacks_verify_message(
            message=message, signature=signature, address=address, network=network
        ))

    def stacks_verify_btc_message(
        self, *, address: str, message: str, signature: str
    ) -> verification_.BitcoinSignatureReport:
        """Check whether a Bitcoin address signed a message (BIP-322 simple, BIP-137)."""
        return self._run(self._client.stacks_verify_btc_message(
            address=address, message=message, signature=signature
        ))

    def hashing_digest(
        self, algorithm: Literal["sha256", "sha512", "sha512-256", "keccak256", "hash160", "ripemd160"], data: str, *,
        encoding: Literal["hex", "base64"] = "hex"
    ) -> verification_.HashReport:
        """Hash text or bytes."""
        return self._run(self._client.hashing_digest(algorithm, data, encoding=encoding))

    def sandbox_visibility(self, *, address: str | None = None, public: bool | None = None) -> visibility_.Visibility:
        """Say whether everybody may see your agent's page; terminal, files, logs and ledger stay yours."""
        return self._run(self._client.sandbox_visibility(address=address, public=public))

    def service_health(self) -> service_.Health:
        """See whether the service and its parts work."""
        return self._run(self._client.service_health())

    def service_metrics(self) -> str:
        """Counters and histograms in Prometheus text."""
        return self._run(self._client.service_metrics())
