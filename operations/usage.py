"""What a sandbox uses: now and over the last hour."""

from pydantic import Field

from operations.codes import RUNNING
from operations.models import Output, Target
from operations.registry import Auth, Feature, Operation
from operations.surfaces import Tool, Verb


class UsageInput(Target):
    """How far back."""

    seconds: int = Field(600, ge=0, le=3600, description="also samples of so many seconds back, one every ten")


class UsageSample(Output):
    """What was used at one moment. `cpu_percent` is of one core, since the sample before."""

    at: str
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    egress_in_bytes: int | None = None
    egress_out_bytes: int | None = None


class Usage(Output):
    """What the host saw, not what the sandbox says. None where this machine cannot tell."""

    runtime_id: str
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    memory_peak_bytes: int | None = None
    disk_bytes: int | None = None
    egress_in_bytes: int | None = None
    egress_out_bytes: int | None = None
    egress_refused: dict[str, int] = Field(default_factory=dict)
    samples: list[UsageSample] = Field(default_factory=list)


FEATURE = Feature(
    120,
    (
        Operation(
            "sandbox.usage", "GET", "/sandbox/usage",
            "See what your sandbox uses, now and over the last hour: CPU, memory, disk, egress.",
            UsageInput, Usage, Auth.OWNER, scope="owner", errors=RUNNING,
            verb=Verb(("usage",), "see its CPU, memory, disk and egress"),
            tool=Tool("satbox_usage"),
        ),
    ),
)  # fmt: skip
