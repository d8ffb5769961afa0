"""Egress as an operator sets it. A fresh install lets nothing out but what the service itself offers inside."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sandboxes.egress.rules import DEFAULT_PORTS, expand

EGRESS_UID = 0x1FFF_FFFE
ALIAS_SUFFIX = ".satbox.internal"
ALIAS_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.satbox\.internal$"


class EgressSettings(BaseModel):
    """`allow` is for every sandbox, `allow_by_class` and `allow_by_address` add to it. `*` means any public address;
    `@name` means what `presets` has under that name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    enabled: bool = True
    port: int = Field(default=3128, ge=1, le=65_535, description="where the proxy listens inside each sandbox")
    uid: int = Field(
        default=EGRESS_UID, ge=1, description="whom the proxy runs as: an id nobody else on the machine has"
    )
    allow: tuple[str, ...] = ()
    allow_by_class: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    allow_by_address: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    presets: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    ports: tuple[int, ...] = DEFAULT_PORTS
    internal: dict[str, str] = Field(
        default_factory=dict, description="alias under .satbox.internal -> http://host:port[/path] on the inside"
    )
    self_alias: str = Field(default="", description="the alias of the gate, which a sandbox calls in its wallet's name")
    self_key_file: str | None = Field(
        default=None, description="the key that the node says so with; the gate has it, too"
    )
    refuse: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description="never reached: this host's public addresses behind NAT, the operator's other machines"
    )
    names: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="names answered here instead of by DNS; their addresses are checked all the same",
    )
    ca_file: str | None = Field(default=None, description="trusted instead of the system's, for `header` secrets")
    connections_per_sandbox_max: int = Field(default=128, ge=1)
    connections_max: int = Field(default=8192, ge=1)
    lookups_per_sandbox_max: int = Field(default=8, ge=1)
    lookup_seconds_max: float = Field(default=5.0, gt=0)
    head_bytes_max: int = Field(default=32_768, ge=1024)
    head_fields_max: int = Field(default=100, ge=4)
    head_seconds_max: float = Field(default=10.0, gt=0, description="to send a whole request head")
    connect_seconds_max: float = Field(default=10.0, gt=0)
    answer_seconds_max: float = Field(default=120.0, gt=0, description="to begin an answer")
    idle_seconds_max: float = Field(default=300.0, gt=0, description="without a byte in either direction")
    stall_seconds_max: float = Field(default=60.0, gt=0, description="without taking what is there for it")
    connection_seconds_max: float = Field(default=6 * 3600.0, gt=0)

    @field_validator("internal")
    @classmethod
    def _internal(cls, value: dict[str, str]) -> dict[str, str]:
        whole = {}
        for alias, target in value.items():
            url = target if "//" in target else f"http://{target}"
            parts = urlsplit(url)
            if not alias.endswith(ALIAS_SUFFIX) or parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"egress.internal: {alias} = {target} is not an alias and an http origin")
            if parts.query or parts.fragment or parts.username or parts.port == 0:
                raise ValueError(f"egress.internal: {target} has more than host, port and path")
            whole[alias] = url.rstrip("/")
        return whole

    @model_validator(mode="after")
    def _patterns(self) -> EgressSettings:
        for patterns in (self.allow, *self.allow_by_class.values(), *self.allow_by_address.values()):
            expand(patterns, self.presets)
        return self

    def allowed(self, address: str, size_class: str) -> tuple[str, ...]:
        """The patterns that hold for a wallet's sandbox of a size class."""
        patterns = (*self.allow, *self.allow_by_class.get(size_class, ()), *self.allow_by_address.get(address, ()))
        return expand(patterns, self.presets)
