"""Which route a call would fall under: an owner's question before strangers ask it with money."""

from pydantic import Field

from operations.codes import IDENTITY
from operations.models import Output, Target
from operations.registry import Auth, Feature, Operation
from operations.surfaces import NoTool, Verb


class RouteCheckInput(Target):
    """A call that somebody might make."""

    port: int = Field(ge=1, le=65_535, description="the port that is called", examples=[8000])
    path: str = Field(pattern=r"^/", max_length=2_048, description="the path called, as in a URL", examples=["/answer"])
    method: str = Field("GET", pattern=r"^[A-Z]{3,10}$", description="the method: GET, POST, ...")


class RouteCheck(Output):
    """What would become of it. `route` counts from 1, in the order of the routes; null: no stranger gets in by any."""

    route: int | None
    path: str | None = None
    sats: int = 0
    callers: str = "holders"
    wakes: bool = False


FEATURE = Feature(
    141,
    (
        Operation(
            "routes.check", "GET", "/sandbox/routes/check",
            "See which of your routes a call would fall under, and what it would cost. Nothing is called.",
            RouteCheckInput, RouteCheck, Auth.OWNER, scope="owner",
            errors=(*IDENTITY, "not_owner", "wallet_not_found", "path_ambiguous"), positional=("port", "path"),
            verb=Verb(
                ("routes", "check"), "see which route a call would fall under",
                help={"method": "the kind of request, in capitals; default: one that reads"},
            ),
            tool=NoTool("satbox_routes lists them in the order in which they are tried"),
        ),
    ),
)  # fmt: skip
