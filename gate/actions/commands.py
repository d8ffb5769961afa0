"""Commands. Their bytes go straight between the gate and the sandbox node, never through Ray."""

import base64
import binascii
import secrets
from typing import Any

from gate.context import RequestContext, action
from gate.reach.exec_answer import answered
from gate.reach.exec_receipts import Ran, exec_receipt
from gate.reach.output_hashes import SALT_BYTES
from gate.reach.reaching import Reach, told
from gate.reach.streams import event_stream
from gate.wire.outcomes import Stream, Whole
from operations.commands import ExecInput, ExecResult
from operations.errors import SatboxError

OUTPUT_BYTES_DEFAULT = 1 << 20
"""Kept of each output for an answer in one piece; a stream has all of it."""


def _stdin(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SatboxError("invalid_request", details={"stdin": "not base64"}) from error


@action("sandbox.exec")
async def run(context: RequestContext, data: ExecInput) -> ExecResult | Stream | Whole:
    """Run a command and say how it ended; `stream` sends its output as it appears."""
    services, caller = context.services, context.caller
    address = caller.owned(data.address)
    if (data.argv is None) == (data.shell is None):
        raise SatboxError("invalid_request", details={"argv": "exactly one of argv and shell"})
    command = data.argv if data.argv is not None else data.shell
    assert command is not None
    limit = data.output_limit_bytes
    options: dict[str, Any] = {
        "cwd": data.cwd, "output_limit_bytes": OUTPUT_BYTES_DEFAULT if limit is None and not data.stream else limit,
    }  # fmt: skip
    if data.receipt and data.stream:
        raise SatboxError("invalid_request", details={"receipt": "not with stream"})
    stdin, reach = _stdin(data.stdin), Reach(services, address)
    async with reach as (node, runtime_id):
        options["env"] = reach.variables(data.env)
        if data.stream:
            events = node.exec_stream(runtime_id, command, stdin=stdin, timeout_seconds=data.timeout_seconds, **options)
            return await event_stream(events)
        result, output = await node.exec_bytes(
            runtime_id, command, stdin=stdin, timeout_seconds=data.timeout_seconds, **options
        )
    answer = ExecResult.model_validate({**result, "runtime_id": runtime_id})
    if data.receipt:
        with told():
            answer.receipt_salt = secrets.token_hex(SALT_BYTES)
            ran = Ran(data, stdin, caller.name, runtime_id, node)
            view = await services.views.get(address, fresh=True)
            answer.receipt = await exec_receipt(services, view, ran, answer, output)
    return answered(answer, output)
