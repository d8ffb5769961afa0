"""Receipts for commands: what ran, on what, under which restraints, what came out, what it cost and who paid.

Bytes are named by the SHA-256 of a salt and themselves. The salt is random, 32 bytes for each receipt, and handed out beside the
receipt, not in it. With the answer anybody can check the receipt. With the receipt alone nobody can guess short commands,
variables or outputs: only the outputs' lengths show. Outputs are hashed as they were delivered, with how much was cut off.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import rfc8785

from actors.view import View, iso
from actors.wallet.metering import charge
from gate.parts.sandbox_policy import HasDoctor, hash_of
from gate.parts.services import Services
from gate.reach.output_hashes import output_hashes, salt_of, salted
from operations.commands import ExecInput, ExecResult
from operations.models import Receipt


@dataclass(frozen=True, slots=True)
class Ran:
    """One command and who asked for it."""

    data: ExecInput
    stdin: bytes | None
    caller: str
    runtime_id: str
    node: HasDoctor


async def exec_receipt(
    services: Services, view: View, ran: Ran, result: ExecResult, output: Mapping[str, bytes | bytearray]
) -> Receipt:
    """What the operator signs about a command that has ended. `result` carries the salt, and not yet its outputs."""
    salt = salt_of(result)
    settings, state, data = services.settings, view.state, ran.data
    plan = state.plan
    limits = settings.size_limits.get(plan.size_class, {})
    policy = await services.policy.of(ran.node, services.clock, plan.size_class, limits)
    command = {"argv": data.argv} if data.argv is not None else {"shell": data.shell}
    rate = state.burn_usat_per_second
    duration_ms = round(result.duration_ms or 0)
    statement = {
        "kind": "exec",
        "deployment": settings.deployment,
        "network": settings.network.caip2,
        "wallet": state.address,
        "salted": bool(salt),
        "caller": ran.caller,
        "payer": state.address,
        "runtime_id": ran.runtime_id,
        "image": plan.image,
        "image_sha256": settings.image_digests.get(plan.image),
        "command_sha256": salted(salt, rfc8785.dumps(command)),
        "cwd": data.cwd,
        "env_sha256": salted(salt, rfc8785.dumps(data.env)),
        "stdin_sha256": None if ran.stdin is None else salted(salt, ran.stdin),
        **output_hashes(result, output),
        "exit_code": result.exit_code,
        "signal": result.signal,
        "timed_out": result.timed_out,
        "oom_killed": result.oom_killed,
        "start_error": result.start_error,
        "evidence": result.evidence,
        "usage": {
            "cpu_ms": None if result.cpu_ms is None else round(result.cpu_ms),
            "max_rss_bytes": result.max_rss_bytes,
            "duration_ms": duration_ms,
        },
        # Uptime is what is paid for: a command costs the time it took, whatever else ran meanwhile.
        "price": {"rate_usat_per_second": str(rate), "time_usat": str(charge(rate, duration_ms, 0)[0])},
        "policy": policy,
        "policy_sha256": hash_of(policy),
        "journal_seq": state.seq,
        "journal_head": state.head,
        "issued_at": iso(services.clock.wall_ms()),
    }
    return services.receipts.sign(statement)
