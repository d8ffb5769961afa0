"""Secrets, write-only: operations, what they take and give. No answer ever holds a value."""

from typing import Literal

from pydantic import Field

from operations.codes import IDENTITY
from operations.models import Done, Output, Target
from operations.registry import Auth, Feature, Operation
from operations.surfaces import NoTool, Tool, Verb

_ERRORS = (*IDENTITY, "not_owner", "wallet_not_found")
_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"


class SecretName(Target):
    """One secret."""

    name: str = Field(pattern=_NAME, description="the secret's name; with kind env the variable's")


class SetSecretInput(SecretName):
    """A secret to keep. With `env` it is a variable of every command from now on, and so seen by whatever runs inside. With
    `header` it never enters the sandbox: requests inside for `http://<alias>` are sent to `upstream` with the header added.
    """

    kind: Literal["env", "header"] = Field("env", description="a variable inside, or a header added outside")
    value: str = Field("", max_length=32_768, repr=False, description="the secret itself; it can't be read back")
    alias: str | None = Field(
        None,
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="header: asked for inside as ALIAS.satbox.internal",
    )
    upstream: str | None = Field(
        None, max_length=2048, description="header: where the requests go, https://host[:port][/path]"
    )
    header: str | None = Field(
        None, pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$", description="header: its name (default: Authorization)"
    )
    template: str | None = Field(
        None, max_length=256, description="header: its value, with {} for the secret (default: Bearer {})"
    )


class Secret(Output):
    """What is known of a secret. Its value is not."""

    name: str
    kind: Literal["env", "header"]
    set_at: str
    alias: str | None = None
    upstream: str | None = None
    header: str | None = None


class SecretList(Output):
    """All secrets of a wallet, by name."""

    items: list[Secret]


FEATURE = Feature(
    110,
    (
        Operation(
            "secrets.set", "PUT", "/sandbox/secrets/{name}",
            "Keep a secret: a variable for commands inside, or a header that is added to requests on their way out.",
            SetSecretInput, Secret, Auth.OWNER, scope="owner",
            errors=(*_ERRORS, "secret_limit", "secret_name_reserved", "node_unavailable"), positional=("name",),
            verb=Verb(("secrets", "set"), "keep a secret; its value is our standard input", run="keys.secrets:keep"),
            tool=NoTool("its value would pass through a model and stay in its transcript"),
        ),
        Operation(
            "secrets.list", "GET", "/sandbox/secrets",
            "List your secrets: names and kinds, never values.",
            Target, SecretList, Auth.OWNER, scope="owner", errors=_ERRORS,
            verb=Verb(
                ("secrets", "list"), "list secrets: names and kinds, no values",
                empty=": satbox secrets set NAME keeps one",
            ),
            tool=Tool("satbox_list_secrets"),
        ),
        Operation(
            "secrets.delete", "DELETE", "/sandbox/secrets/{name}",
            "Delete a secret; commands that run already keep the variables they have.",
            SecretName, Done, Auth.OWNER, scope="owner", errors=(*_ERRORS, "secret_not_found", "node_unavailable"),
            positional=("name",),
            verb=Verb(("secrets", "delete"), "delete a secret"),
            tool=Tool("satbox_delete_secret", is_destructive=True, is_idempotent=True),
        ),
    ),
    verb_groups={"secrets": "keep secrets that can't be read back"},
)  # fmt: skip
