"""The hash functions of Stacks and Bitcoin, for callers without them."""

from gate.actions.verifying import report
from gate.context import RequestContext, action
from operations import verification as v
from stacks.verification import hash_input, hash_report


@action("hashing.digest")
async def digest(context: RequestContext, data: v.HashInput) -> v.HashReport:
    """Hash text or bytes."""
    services = context.services
    made = await report(services.settings, lambda: hash_report(data.algorithm, hash_input(data.data), data.encoding))
    return v.HashReport.model_validate(made)
