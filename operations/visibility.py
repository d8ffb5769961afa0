"""Whether an agent's page is for everybody."""

from pydantic import Field

from operations.codes import IDENTITY
from operations.models import Output, Target
from operations.registry import Auth, Feature, Operation
from operations.surfaces import NoTool, Verb


class VisibilityInput(Target):
    """With nothing said, nothing is changed: see it in the answer."""

    public: bool | None = Field(
        None, description="true: everybody may see status, burn chart, earnings and routes; false: only you"
    )


class Visibility(Output):
    """Who may see the page at `url`. A terminal, files, logs, events and the ledger are never public."""

    address: str
    public: bool
    url: str


FEATURE = Feature(
    230,
    (
        Operation(
            "sandbox.visibility", "POST", "/sandbox/visibility",
            "Say whether everybody may see your agent's page; terminal, files, logs and ledger stay yours.",
            VisibilityInput, Visibility, Auth.OWNER, scope="owner", errors=(*IDENTITY, "not_owner", "wallet_not_found"),
            verb=Verb(
                ("visibility",), "say whether everybody may see your agent's page",
                help={
                    "public":
                        "let everybody see status, burn chart, earnings and routes, or only you; with neither: see how "
                        "it is",
                },
                either_way=("public",),
            ),
            tool=NoTool("a setting of a page for people"),
        ),
    ),
)  # fmt: skip
