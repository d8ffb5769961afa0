"""Spending keys: what an owner gives out so that somebody else, or the sandbox itself, pays from the wallet's bucket within caps.

An API key is a token, sent as `Authorization: Bearer sb_...`; with `signer`, a key is the address of a secp256k1 key that signs
orders for the wallet (`relay_client.orders`). The sandbox's own key, `self`, needs neither: `GET /self` tells what it may spend.
"""

from typing import Annotated, Literal

from pydantic import Field

from operations.codes import IDENTITY
from operations.models import SATS_MAX, Nothing, Output, Target
from operations.purposes import PURPOSES
from operations.registry import Auth, Feature, Operation
from operations.surfaces import Made, NoTool, Option, Tool, Verb

ACTING = ("exec", "files", "extend")
"""Scopes that let a key act for its wallet; none of them spends from the bucket. `extend` pays on chain for the wallet itself."""
SCOPES = (*ACTING, *(purpose.name for purpose in PURPOSES.values() if purpose.is_from_bucket))
EXPIRES_SECONDS_MAX = 365 * 86_400
PAYEES_MAX = 16
Sats = Annotated[int, Field(ge=1, le=SATS_MAX)]
KeyId = Annotated[str, Field(pattern=r"^(key_[0-9a-f]{12}|self)$", description="the key's id, key_..., or self")]
Scope = Annotated[str, Field(pattern=r"^[a-z]{1,32}$")]
Payee = Annotated[str, Field(pattern=r"^S[0-9A-Z]{27,41}$")]


class KeyCaps(Target):
    """The most that a key may spend, in sats. What is left out has no limit."""

    sats_per_call: Sats | None = Field(None, description="the most for one call")
    sats_per_hour: Sats | None = Field(None, description="the most in an hour (UTC)")
    sats_per_day: Sats | None = Field(None, description="the most in a day (UTC)")
    sats_total: Sats | None = Field(None, description="the most in all")


class NewKeyInput(KeyCaps):
    """A key to give out."""

    name: str = Field("", max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$", description="a note, such as who has it")
    scopes: list[Scope] = Field(
        default_factory=list, max_length=len(SCOPES),
        description=f"what it may be used for: {', '.join(SCOPES)}; default: everything that is paid from a bucket",
    )  # fmt: skip
    payees: list[Payee] = Field(
        default_factory=list,
        max_length=PAYEES_MAX,
        description="agents it may pay; default: any, and the operator always",
    )
    signer: Payee | None = Field(
        None, description="the address of a key that signs orders for this wallet; default: a token is made"
    )
    expires_seconds: int | None = Field(
        None, ge=60, le=EXPIRES_SECONDS_MAX, description="how long it is good for; default: for ever"
    )


class KeyTarget(Target):
    """One key."""

    key_id: KeyId


class KeyView(Output):
    """A key as its owner sees it. Amounts spent are micro-sats; caps are sats."""

    key_id: str
    name: str
    kind: Literal["token", "signer", "self"]
    state: Literal["good", "expired"]
    signer: str | None = None
    scopes: list[str]
    payees: list[str]
    sats_per_call: int | None = None
    sats_per_hour: int | None = None
    sats_per_day: int | None = None
    sats_total: int | None = None
    spent_usat: int
    spent_this_hour_usat: int
    spent_today_usat: int
    set_aside_usat: int
    left_usat: int | None = Field(description="what the caps leave now; null: no cap")
    created_at: str | None = None
    expires_at: str | None = None
    last_used_at: str | None = None


class NewKey(KeyView):
    """A key just made. `key` is the token, told this once; null for one that signs."""

    key: str | None = None


class Keys(Output):
    """Every key that is kept, the sandbox's own last."""

    items: list[KeyView]


class SelfView(Output):
    """For whom a key speaks, what there is, and what the key may still spend."""

    address: str
    state: Literal["none", "starting", "alive", "grace", "reaped"]
    runtime_id: str | None = None
    balance_usat: int
    burn_usat_per_second: int
    seconds_left: float | None = Field(description="how long the balance lasts at this rate; null: nothing burns")
    key: KeyView


_ERRORS = (*IDENTITY, "not_owner", "wallet_not_found")

FEATURE = Feature(
    200,
    (
        Operation(
            "api_keys.create", "POST", "/sandbox/api-keys",
            "Make a key that spends from your bucket within caps.",
            NewKeyInput, NewKey, Auth.OWNER, scope="owner", errors=(*_ERRORS, "spending_keys_full"),
            verb=Verb(
                ("api-key", "create"), "make a key that spends from your bucket",
                hidden=("scopes", "payees", "expires_seconds"),
                options=(
                    Option(
                        "scope", "what it is for, with commas (default: all that is paid from a bucket)", metavar="NAMES",
                    ),
                    Option("payee", "an agent it may pay; may be given several times", "list", metavar="ADDRESS"),
                    Option("expires", "how long it is good for: 30d (default: for ever)", "duration", metavar="DURATION"),
                ),
                run="keys.spending_keys:create",
            ),
            tool=Tool(
                "satbox_api_key", more="Anybody who has `key` can spend. It is shown once, and can be revoked.",
                made=Made("key_id", "key", "key_..."),
            ),
        ),
        Operation(
            "api_keys.list", "GET", "/sandbox/api-keys",
            "List your spending keys, what they spent and what is left.",
            Target, Keys, Auth.OWNER, scope="owner", errors=_ERRORS,
            verb=Verb(
                ("api-key", "list"), "list your keys: spent, and left by their caps", form="keys.key_tables:keys",
                empty=": satbox api-key create makes one",
            ),
            tool=NoTool("satbox_api_key lists and revokes too"),
        ),
        Operation(
            "api_keys.revoke", "DELETE", "/sandbox/api-keys/{key_id}",
            "Void a spending key at once.",
            KeyTarget, KeyView, Auth.OWNER, scope="owner", errors=(*_ERRORS, "spending_key_not_found"),
            positional=("key_id",),
            verb=Verb(("api-key", "revoke"), "void a key at once", form="keys.key_tables:key_row"),
            tool=NoTool("satbox_api_key lists and revokes too"),
        ),
        Operation(
            "api_keys.limit_self", "PUT", "/sandbox/api-keys/self",
            "Set what your sandbox may spend by itself.",
            KeyCaps, KeyView, Auth.OWNER, scope="owner", errors=_ERRORS,
            verb=Verb(("api-key", "self"), "cap what your sandbox spends by itself", form="keys.key_tables:key_row"),
            tool=NoTool("an owner's own decision, not an agent's"),
        ),
        Operation(
            "self.show", "GET", "/self",
            "See for whom you call, what is left, and what you may spend.",
            Nothing, SelfView, Auth.OWNER, scope="self",
            errors=(*IDENTITY, "wallet_not_found", "runtime_gone", "spending_key_invalid"),
            verb=Verb(("self",), "see for whom your key speaks, and what it may spend", form="keys.key_tables:own_key"),
            tool=NoTool("for those who have only a key; this server has the keys of an agent, and satbox_status"),
        ),
    ),
    verb_groups={"api-key": "keys that spend from your bucket, to give out"},
)  # fmt: skip
