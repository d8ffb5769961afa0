"""What is metered at which rate, and what an owner allows."""

from typing import Annotated

from pydantic import Field

from operations.codes import IDENTITY
from operations.models import Nothing, Output, Target
from operations.registry import Auth, Feature, Operation
from operations.sandbox import SandboxStatus
from operations.surfaces import NoTool, Verb

SATS_MAX = 10**9
Sats = Annotated[int, Field(ge=0, le=SATS_MAX)]


class BudgetInput(Target):
    """The whole budget: what is left out is not limited any more. The hours follow one another from when it is set. With
    nothing at all, nothing is changed: see it in the answer.
    """

    max_sats_per_hour: Sats | None = Field(None, description="for everything together, the clock included")
    max_sats_per_hour_by_meter: dict[str, Sats] = Field(
        default_factory=dict, max_length=16, description="for one meter, such as egress=50 or clock=20"
    )
    max_sats_per_call: Sats | None = Field(None, description="the most one request through the proxy may cost")
    warn_seconds: list[Annotated[int, Field(ge=1, le=31 * 86_400)]] | None = Field(
        None, max_length=8, description="say so when so many seconds are left; default: as the service does"
    )
    remove: bool = Field(False, description="lift every limit")


class MeterInfo(Output):
    """One meter: what one `unit` costs in micro-sats, for sandboxes started from now on."""

    name: str
    unit: str
    rate_usat: int


class Meters(Output):
    """Every meter. `clock_usat_per_second` is by size class."""

    clock_usat_per_second: dict[str, int]
    paused_rate_percent: int
    items: list[MeterInfo]


FEATURE = Feature(
    130,
    (
        Operation(
            "sandbox.budget", "POST", "/sandbox/budget",
            "Say what your sandbox may cost an hour and a call, and when to warn you; it is frozen when that is used up.",
            BudgetInput, SandboxStatus, Auth.OWNER, scope="owner", errors=(*IDENTITY, "wallet_not_found"),
            verb=Verb(("budget",), "say what your sandbox may cost an hour", form="sandbox.sandbox_tables:with_budget"),
            tool=NoTool("a limit that the agent it limits could lift is none"),
        ),
        Operation(
            "sandbox.meters", "GET", "/sandbox/meters",
            "See what is metered, in which unit, at which rate.",
            Nothing, Meters, Auth.NONE,
            verb=Verb(("meters",), "see what is metered, and at which rate"),
            tool=NoTool("status shows the rates that were agreed on"),
        ),
    ),
)  # fmt: skip
