"""Receipts for commands: what ran, on what, under which restraints, what came out, what it cost and who paid.

Bytes are named by their SHA-256. Outputs are hashed as they were delivered, with how much was cut off; so whoever holds the
answer can check the receipt against it, and whoever holds the receipt alone learns nothing of the content.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from actors.view import View, iso
from actors.wallet.metering import charge
from gate.ports import Services
from gate.sandbox_policy import hash_of
from operations import models as m


@dataclass(frozen=True, slots=True)
class Ran:
    """One command and who asked for it."""

    data: m.ExecInput
    stdin: bytes | None
    caller: str
    runtime_id: str


def sha256(data: bytes) -> str:
    """In hex."""
    return hashlib.sha256(data).hexdigest()


def output_hashes(result: m.ExecResult) -> dict[str, Any]:
    """Both outputs as delivered."""
    return {"stdout": _output(result, "stdout"), "stderr": _output(result, "stderr")}


def _output(result: m.ExecResult, name: Literal["stdout", "stderr"]) -> dict[str, Any]:
    data = m.delivered(result, name)
    return {
        "sha256": sha256(data),
        "bytes": len(data),
        "bytes_cut_off": result.truncated.get(f"{name}_bytes_dropped", 0),
    }


async def exec_receipt(services: Services, view: View, ran: Ran, result: m.ExecResult) -> m.Receipt:
    """What the operator signs about a command that has ended."""
    settings, state, data = services.settings, view.state, ran.data
    plan = state.plan
    limits = settings.size_limits.get(plan.size_class, {})
    policy = await services.policy.of(services.node, services.clock, plan.size_class, limits)
    command = {"argv": data.argv} if data.argv is not None else {"shell": data.shell}
    rate = state.burn_usat_per_second
    duration_ms = round(result.duration_ms or 0)
    statement = {
        "kind": "exec",
        "deployment": settings.deployment,
        "network": settings.network.caip2,
        "wallet": state.address,
        "caller": ran.caller,
        "payer": state.address,
        "runtime_id": ran.runtime_id,
        "image": plan.image,
        "image_sha256": settings.image_digests.get(plan.image),
        "command_sha256": hash_of(command),
        "cwd": data.cwd,
        "env_sha256": hash_of(data.env),
        "stdin_sha256": None if ran.stdin is None else sha256(ran.stdin),
        **output_hashes(result),
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
