"""Wake links: a way for people without a key pair to wake an agent's sandbox, or to pay for it."""

import re
from typing import Annotated, Literal

from pydantic import Field

from operations.codes import IDENTITY
from operations.models import SATS_MAX, Nothing, Output, Target
from operations.registry import ANY_LINK, Auth, Feature, Operation
from operations.surfaces import Made, NoTool, Option, Tool, Verb

LINK_HEADER = "X-Satbox-Wake-Link"
_TOKEN = re.compile(r"swl_(S[0-9A-Z]{27,41})_[A-Za-z0-9_-]{43}", re.ASCII)
LinkScope = Literal["wake", "topup"]
EXPIRES_SECONDS = 30 * 86_400
EXPIRES_SECONDS_MAX = 365 * 86_400
LinkId = Annotated[str, Field(pattern=r"^wl_[0-9a-f]{12}$", description="the link's id, wl_...")]


def address_in(token: str) -> str | None:
    """The wallet that a link's token names; None when it is none."""
    read = _TOKEN.fullmatch(token)
    return None if read is None else read.group(1)


class WakeLinkInput(Target):
    """A link to give out. Its holder may do what the scopes say: `wake` with the credit that is left, `topup` by paying."""

    scopes: list[LinkScope] = Field(
        default_factory=lambda: list[LinkScope](("wake",)), min_length=1, max_length=2,
        description="wake: with the credit that is left; topup: pay for this wallet; default: wake",
    )  # fmt: skip
    wakes_per_day: int = Field(10, ge=1, le=1000, description="how often it may start the sandbox in a day (UTC)")
    sats_per_day: int | None = Field(
        None, ge=1, le=SATS_MAX, description="how many sats may be paid through it in a day (UTC); default: any"
    )
    expires_seconds: int = Field(EXPIRES_SECONDS, ge=60, le=EXPIRES_SECONDS_MAX, description="how long it is good for")
    label: str = Field("", max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$", description="a note, such as who has it")


class WakeLinkTarget(Target):
    """One link."""

    link_id: LinkId


class WakeLinkView(Output):
    """A link as its owner sees it; the token was told once, when it was made."""

    link_id: str
    label: str
    state: Literal["good", "expired", "revoked"]
    scopes: list[LinkScope]
    wakes_per_day: int
    wakes_left_today: int
    sats_per_day: int | None = None
    sats_left_today: int | None = None
    created_at: str
    expires_at: str
    last_used_at: str | None = None


class NewWakeLink(WakeLinkView):
    """A link just made. `url` is for people; machines send `token` as X-Satbox-Wake-Link. Neither is told again."""

    token: str
    url: str


class WakeLinks(Output):
    """Every link that is still kept, the oldest first."""

    items: list[WakeLinkView]


class WakeLinkInfo(Output):
    """What a link may do now. `wakes_now`: a wake would start it with the credit that is left; else `missing_sats` are.

    `sats_left_today` None is no limit. Counts begin anew at `resets_at`.
    """

    address: str
    link_id: str
    label: str
    scopes: list[LinkScope]
    wakes_per_day: int
    wakes_left_today: int
    sats_per_day: int | None = None
    sats_left_today: int | None = None
    expires_at: str
    resets_at: str
    state: Literal["none", "starting", "alive", "grace", "reaped"]
    wakes_now: bool
    missing_sats: int


_ONE = "/sandbox/wake-links/{link_id}"

FEATURE = Feature(
    190,
    (
        Operation(
            "wake_links.create", "POST", "/sandbox/wake-links",
            "Make a link whose holder may wake your sandbox, or pay for it, without keys.",
            WakeLinkInput, NewWakeLink, Auth.OWNER, scope="owner",
            errors=(*IDENTITY, "not_owner", "wallet_not_found", "wake_links_full"),
            verb=Verb(
                ("wake-link", "create"), "make a link that wakes you, to give out", hidden=("scopes", "expires_seconds"),
                options=(
                    Option(
                        "scope", "wake (with the credit left), topup (pay), or both: wake,topup", default="wake",
                        metavar="WHAT",
                    ),
                    Option("expires", "how long it is good for (default: 30d)", "duration", metavar="TIME"),
                    Option("svg", "also write its QR code as a picture", metavar="FILE"),
                ),
                run="keys.wake_links:create",
            ),
            tool=Tool(
                "satbox_wake_link",
                more="Give its url to your owner: one click wakes you when your sandbox was reaped. Anybody who has it can "
                "use it; it can be revoked.",
                made=Made("link_id", "link", "wl_..."),
            ),
        ),
        Operation(
            "wake_links.list", "GET", "/sandbox/wake-links",
            "List your wake links and what was made of them today.",
            Target, WakeLinks, Auth.OWNER, scope="owner", errors=(*IDENTITY, "not_owner", "wallet_not_found"),
            verb=Verb(
                ("wake-link", "list"), "list your wake links", form="keys.link_tables:wake_links",
                empty=": satbox wake-link create makes one",
            ),
            tool=NoTool("satbox_wake_link lists and revokes too"),
        ),
        Operation(
            "wake_links.revoke", "DELETE", _ONE,
            "Void a wake link.",
            WakeLinkTarget, WakeLinkView, Auth.OWNER, scope="owner",
            errors=(*IDENTITY, "not_owner", "wallet_not_found", "wake_link_not_found"), positional=("link_id",),
            verb=Verb(("wake-link", "revoke"), "void a wake link", form="keys.link_tables:wake_link"),
            tool=NoTool("satbox_wake_link lists and revokes too"),
        ),
        Operation(
            "wake_links.info", "GET", "/sandbox/wake-links/info",
            "See what a wake link may do now, without using it.",
            Nothing, WakeLinkInfo, Auth.NONE, link_scope=ANY_LINK, errors=("wake_link_invalid",),
            verb=Verb(
                ("wake-link", "info"), "see what a wake link may do",
                options=(
                    Option(
                        "link", "a wake link, as URL or token; - reads it from standard input", flags=(), metavar="LINK",
                    ),
                ),
                run="keys.wake_links:info", form="keys.link_tables:link_info",
            ),
            tool=NoTool("for holders of a link; agents have keys"),
        ),
    ),
    verb_groups={"wake-link": "links that wake your sandbox, to give out"},
)  # fmt: skip
