"""What an owner lets strangers reach inside the sandbox, and at which price."""

from typing import Annotated, Literal

from pydantic import Field

from operations.codes import IDENTITY, PAYMENT
from operations.models import SATS_MAX, Input, Output, Paid, Reference, StacksAddress, Target
from operations.prices import OnChain
from operations.registry import Auth, Operation

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class RouteInput(Input):
    """Requests that fit this are let in. Routes are tried in order; the first that fits decides."""

    port: int = Field(ge=1, le=65_535, description="the port that a server inside listens on")
    path: str = Field(
        pattern=r"^/[!-)+-:<-\[\]-~]*\*?$", max_length=256,
        description="the path, exactly; or with * at its end, all that begin so",
    )  # fmt: skip
    methods: list[Method] = Field(default_factory=list, max_length=7, description="the methods; default: any")
    sats: int = Field(0, ge=0, le=SATS_MAX, description="what one call costs; 0 is free")
    callers: Literal["anyone", "genesis", "list", "holders"] = Field(
        "anyone",
        description="who may: anyone, whoever holds a gate pass of any Genesis pair, the addresses listed, or holders of "
        "your own passes and port tokens",
    )
    addresses: list[StacksAddress] = Field(default_factory=list, max_length=64, description="for callers=list")
    rate_per_minute: int = Field(600, ge=1, le=1_000_000, description="calls a minute that one caller may make")
    deliver_on: Literal["mempool", "confirmed"] = Field(
        "confirmed",
        description="when a call paid on chain is answered: once its payment is sent, or once it is confirmed",
    )
    wakes: bool = Field(False, description="a call starts the sandbox when it sleeps and has credit")
    wakes_per_hour: int = Field(6, ge=1, le=3_600, description="how often calls may start it in an hour")


class RoutesInput(Target):
    """All routes; what was there before is replaced. With none, strangers reach nothing."""

    routes: list[RouteInput] = Field(default_factory=list, max_length=64, description="the routes, in order")


class RoutesOf(Input):
    """Whose routes."""

    address: StacksAddress | None = Field(None, description="the wallet's Stacks address; default: your own")


class RouteShown(Output):
    """A route, as whoever may call it sees it."""

    port: int
    path: str
    methods: list[str]
    sats: int
    callers: str
    addresses: list[str] = Field(default_factory=list)
    """Who is listed; for its owner alone."""
    rate_per_minute: int
    deliver_on: str
    wakes: bool
    wakes_per_hour: int
    url: str
    """Where it is called; a `*` stands for the rest."""
    origin: str | None = None
    """Where a browser opens the port, at an origin of its own; None when the gate has no such origins."""


class Routes(Output):
    """A wallet's routes, in the order in which they are tried. The operator keeps `fee_percent` of what they earn. Routes whose
    callers leave you out are left out here, the same as routes that are not there; `is_whole` is the owner's, who sees all.
    """

    address: str
    is_whole: bool = False
    fee_percent: float
    items: list[RouteShown]


class DepositInput(Input):
    """Money for a bucket; no sandbox is started by it."""

    address: StacksAddress = Field(description="whose bucket")
    sats: Annotated[int, Field(ge=1, le=SATS_MAX, description="how much, in sats")]
    reference: Reference = None


class BucketOf(Input):
    """Whose bucket."""

    address: StacksAddress = Field(description="whose bucket")


class Bucket(Output):
    """What calls can be paid from. `reserved_usat` is set aside for calls under way, and comes back when they are not made."""

    address: str
    balance_usat: int
    reserved_usat: int


ROUTES = (
    Operation(
        "routes.set", "PUT", "/sandbox/routes",
        "Say what strangers may reach inside your sandbox, and at which price a call.",
        RoutesInput, Routes, Auth.OWNER, ("routes", "set"), None, scope="owner",
        no_tool_because="satbox_routes sets and removes one at a time",
        errors=(*IDENTITY, "not_owner", "wallet_not_found", "routes_limit"),
    ),
    Operation(
        "routes.list", "GET", "/sandbox/routes",
        "See what a wallet offers to callers, and at which price.",
        RoutesOf, Routes, Auth.OPTIONAL, ("routes", "list"), "satbox_routes", positional=("address",),
        errors=("wallet_not_found", *IDENTITY),
    ),
    Operation(
        "bucket.show", "GET", "/bucket",
        "See what is left in a bucket: what a wake page tells of it, also for whoever has no sandbox.",
        BucketOf, Bucket, Auth.NONE, ("bucket",), None, positional=("address",),
        no_tool_because="satbox_bucket shows it",
        errors=("wallet_not_found",),
    ),
    Operation(
        "bucket.deposit", "POST", "/bucket/deposit",
        "Put money into a bucket, to pay for calls from it; answers 402 with offers until it is paid.",
        DepositInput, Paid, Auth.NONE, ("deposit",), "satbox_bucket", price=OnChain("deposit"),
        errors=PAYMENT,
    ),
)  # fmt: skip
