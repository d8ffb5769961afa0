"""What an owner lets strangers reach inside the sandbox, and at which price."""

from typing import Annotated, Literal

from pydantic import Field

from operations.codes import IDENTITY, PAYMENT
from operations.models import SATS_MAX, Input, Output, Reference, StacksAddress, Target
from operations.prices import OnChain
from operations.registry import Auth, Feature, Operation
from operations.sandbox import Paid
from operations.surfaces import NoTool, Option, Tool, Verb

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


FEATURE = Feature(
    140,
    (
        Operation(
            "routes.set", "PUT", "/sandbox/routes",
            "Say what strangers may reach inside your sandbox, and at which price a call.",
            RoutesInput, Routes, Auth.OWNER, scope="owner",
            errors=(*IDENTITY, "not_owner", "wallet_not_found", "routes_limit"),
            verb=Verb(
                ("routes", "set"), "say what strangers may reach inside, and at which price", hidden=("routes",),
                options=(
                    Option("port", "the port that a server inside listens on", "integer", flags=()),
                    Option("path", "the path, exactly; or with * at its end, all that begin so (quote it)", flags=()),
                    Option("sats", "what one call costs (default: 0, free)", "integer", default=0),
                    Option("method", "GET, POST, ...; may be given several times", "list", metavar="METHOD"),
                    Option(
                        "callers",
                        "who may: anyone (default), genesis agents, a list, or only holders of your passes and port tokens",
                        choices=("anyone", "genesis", "list", "holders"),
                    ),
                    Option("caller", "one who may, and nobody else; may be given several times", "list", metavar="ADDRESS"),
                    Option("rate_per_minute", "calls a minute by one caller (default: 600)", "integer", default=600),
                    Option("deliver_on", "for payments on chain", choices=("mempool", "confirmed"), default="confirmed"),
                    Option("wakes", "a call starts the sandbox when it sleeps and has credit", "flag"),
                    Option("wakes_per_hour", "how often calls may do so (default: 6)", "integer", default=6),
                    Option("remove", "take this route away", "flag"),
                ),
                run="money.calling:set_route",
            ),
            tool=NoTool("satbox_routes sets and removes one at a time"),
        ),
        Operation(
            "routes.list", "GET", "/sandbox/routes",
            "See what a wallet offers to callers, and at which price.",
            RoutesOf, Routes, Auth.OPTIONAL, errors=("wallet_not_found", *IDENTITY), positional=("address",),
            verb=Verb(
                ("routes", "list"), "what a wallet offers to callers, and at which price",
                help={"address": "whose: an address or a handle; default: your own"}, run="money.calling:list_routes",
                form="money.price_tables:routes",
            ),
            tool=Tool("satbox_routes"),
        ),
        Operation(
            "bucket.show", "GET", "/bucket",
            "See what is left in a bucket: what a wake page shows of it, also without a sandbox.",
            BucketOf, Bucket, Auth.NONE, errors=("wallet_not_found",), positional=("address",),
            verb=Verb(
                ("bucket",), "see what is left in a bucket",
                help={"address": "whose: an address or a handle; default: your own"}, defaults={"address": None},
                run="money.calling:bucket",
            ),
            tool=NoTool("satbox_bucket shows it"),
        ),
        Operation(
            "bucket.deposit", "POST", "/bucket/deposit",
            "Put money into a bucket, to pay for calls from it; answers 402 with offers until it is paid.",
            DepositInput, Paid, Auth.NONE, price=OnChain("deposit"), errors=PAYMENT,
            verb=Verb(
                ("deposit",), "put money into a bucket, to pay for calls from it",
                help={"address": "whose bucket; default: your own"}, defaults={"address": None}, run="money.calling:deposit",
            ),
            tool=Tool("satbox_bucket"),
        ),
    ),
    verb_groups={"routes": "sell calls to what runs inside"},
)  # fmt: skip
