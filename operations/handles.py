"""Names: whom a handle means."""

from pydantic import Field

from operations.models import Input, Output
from operations.registry import Auth, Feature, Operation
from operations.surfaces import NoTool, Verb


class HandleInput(Input):
    """A display name (`Swift Raven` or `swift-raven`), an agent id, a BNS name, a bc1 or Stacks address."""

    handle: str = Field(
        min_length=1, max_length=100, description="display name, agent id, BNS name, or a bc1 or Stacks address"
    )


class AgentView(Output):
    """A registered agent. `address` is its wallet here, `state` what its sandbox does; `none` if it never had one.

    `is_stale`: the registry is silent, and this is what it said before.
    """

    kind: str
    address: str
    state: str
    stx_address: str
    btc_address: str | None = None
    taproot_address: str | None = None
    display_name: str | None = None
    bns_name: str | None = None
    agent_id: int | None = None
    level: int
    level_name: str
    last_active_at: str | None = None
    is_stale: bool = False


FEATURE = Feature(
    180,
    (
        Operation(
            "agents.resolve", "GET", "/agents/{handle}",
            "See whom a handle names, and its wallet here.",
            HandleInput, AgentView, Auth.NONE,
            errors=("handle_invalid", "handle_not_found", "handle_ambiguous", "registry_unavailable"),
            positional=("handle",),
            verb=Verb(("resolve",), "see whom a handle names"),
            tool=NoTool("agents know themselves by address; people have handles"),
        ),
    ),
)  # fmt: skip
