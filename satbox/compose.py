"""The composition root: from settings to specs and actors. `satbox.gate_services` composes a gate."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import images
from actors.books.checkpoints import CheckpointBook
from actors.on_ray.host_spec import HostSpec
from actors.on_ray.oracle import OracleSpec
from actors.on_ray.settlements_process import PayoutSpec, SettlementsSpec
from gate.parts.receipts import ReceiptSigner, checkpoint_log
from gate.settings import GateSettings
from gate.wire.port_origins import default_host
from oracle import (
    OracleSettings,
    Rules,
    devnet_bases,
    public_bases,
)
from relay_client.payouts import KeyFile, PayoutPolicy
from relay_client.settlements import SettlementPolicy, SettleRoute
from sandboxes.size_classes import SIZE_CLASSES, SizeClass
from satbox.keys import DeploymentKeys, load_keys
from satbox.settings import Settings

GATE_ALIAS, STACKS_ALIAS = "gate.satbox.internal", "stacks-api.satbox.internal"


@dataclass(frozen=True, slots=True)
class Deployment:
    """Settings and keys, and what follows from them."""

    settings: Settings
    keys: DeploymentKeys

    @classmethod
    def load(cls, settings: Settings) -> "Deployment":
        """Make the home folder and read or make the keys."""
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cls(settings, load_keys(settings.home))

    @property
    def node_socket(self) -> Path:
        """Where the sandbox node listens."""
        return self.settings.home / "run" / "node.sock"

    @property
    def pay_to(self) -> str:
        """The receiving address: named in the settings, or the devnet treasury."""
        return self.settings.pay_to or self.keys.pay_to(self.settings.stacks_network)

    def checkpoints(self) -> CheckpointBook:
        """The log of checkpoints over this home's wallets."""
        settings = self.settings
        signer = ReceiptSigner(self.keys.operator)
        return checkpoint_log(
            settings.home, signer, deployment=settings.deployment, network=settings.stacks_network.caip2
        )

    def host_spec(self) -> HostSpec:
        """Settings of wallet hosts."""
        settings = self.settings
        return HostSpec(
            home=settings.home,
            node_socket=self.node_socket,
            placement=settings.host_map(),
            policy=settings.policy(),
            idle_seconds=settings.actors.idle_seconds,
        )

    def settlements_spec(self) -> SettlementsSpec:
        """Settings of settlements."""
        settings = self.settings
        return SettlementsSpec(
            home=settings.home,
            relay_url=settings.upstreams.relay,
            stacks_api_url=settings.upstreams.stacks_api,
            transport=self.host_spec(),
            policy=_settlement_policy(settings),
            payouts=_payout_spec(settings),
        )

    def oracle_spec(self) -> OracleSpec:
        """Settings of the oracle."""
        settings, base = self.settings.oracle, self.settings.upstreams.prices
        hosts = settings.hosts if base is None else devnet_bases(base) | settings.hosts
        return OracleSpec(
            home=self.settings.home,
            bases=public_bases(hosts, settings.without),
            headers={"tenero": {"x-api-key": settings.tenero_api_key}} if settings.tenero_api_key else {},
            settings=OracleSettings(rules=Rules(haircut_ppm=settings.haircut_ppm)),
        )

    def node_settings(self) -> dict[str, Any]:
        """Settings of the sandbox node: its own section, and the aliases under which sandboxes reach gate and chain."""
        settings = self.settings
        own = dict(settings.node)
        egress = dict(own.get("egress", {}))
        aliases = {STACKS_ALIAS: settings.upstreams.stacks_api}
        if settings.gate.port:  # a port that is only known later has no alias
            host = "127.0.0.1" if settings.gate.host in ("0.0.0.0", "::") else settings.gate.host  # noqa: S104
            aliases[GATE_ALIAS] = (
                f"http://[{host}]:{settings.gate.port}" if ":" in host else f"http://{host}:{settings.gate.port}"
            )
        egress["internal"] = aliases | dict(egress.get("internal", {}))
        egress |= {"self_alias": GATE_ALIAS, "self_key_file": str(self.keys.self_key_path)}
        return own | {"egress": egress}

    def _image_digests(self) -> dict[str, str]:
        """What every built image holds, by name."""
        store = images.ImageStore(self.settings.home / "images")
        return {name: store.get(name).manifest.content_sha256 for name in store.names()}

    def _size_limits(self) -> dict[str, dict[str, Any]]:
        """What a sandbox of each class may use, in the node's form."""
        given = self.settings.node.get("size_classes")
        classes = SIZE_CLASSES if given is None else {k: SizeClass.model_validate(v) for k, v in given.items()}
        return {name: limits.model_dump() for name, limits in classes.items()}

    def gate_settings(self) -> GateSettings:
        """Settings of a gate."""
        settings = self.settings
        public_url = settings.gate.public_url or f"http://{settings.gate.host}:{settings.gate.port}"
        return GateSettings(
            deployment=settings.deployment,
            network=settings.stacks_network,
            pay_to=self.pay_to,
            public_url=public_url,
            stacks_api=settings.upstreams.stacks_api,
            ports_host=default_host(public_url) if settings.gate.ports_host is None else settings.gate.ports_host,
            operator_token=self.keys.operator_token,
            self_key=self.keys.self_key,
            policy=settings.policy(),
            rates_usat_per_second=dict(settings.rates_usat_per_second),
            images=frozenset(images.offered(settings.home / "images")),
            dispute_window_seconds=settings.books.dispute_window_days * 86_400,
            dispute_answer_seconds=settings.books.dispute_answer_days * 86_400,
            dispute_verdict_seconds=settings.books.dispute_verdict_days * 86_400,
            image_digests=self._image_digests(),
            size_limits=self._size_limits(),
            payout_fees={"sBTC": settings.payouts.fee_sats, "STX": settings.payouts.fee_ustx},
            default_sats=settings.gate.default_sats,
            start_on_mempool=settings.settle.start_on == "mempool",
            start_wait_seconds=settings.gate.start_wait_seconds,
            upload_bytes_max=settings.gate.upload_bytes_max,
            verifies_for_anybody=settings.gate.verifies_for_anybody,
            prices_sats={"verification": settings.gate.verification_sats},
            open_requests_per_second=settings.gate.open_requests_per_second,
            connections_per_peer_max=settings.gate.connections_per_peer_max,
            call_mempool_sats_max=settings.gate.call_mempool_sats_max,
            call_unconfirmed_sats_max=settings.gate.call_unconfirmed_sats_max,
            wake_calls_on_mempool=settings.settle.wake_calls_on == "mempool",
        )


def on_devnet(settings: Settings, urls: dict[str, str]) -> Settings:
    """The settings with every upstream pointed at the embedded devnet."""
    upstreams = settings.upstreams.model_copy(
        update={
            "relay": urls["relay"],
            "stacks_api": urls["stacks"],
            "registry": urls["aibtc"],
            "prices": urls["prices"],
        }
    )
    return settings.model_copy(update={"upstreams": upstreams})


def _payout_spec(settings: Settings) -> PayoutSpec:
    """Where the payout key is, and what may go out."""
    given, sat = settings.payouts, 1_000_000
    path = given.key or settings.home / "keys" / "payout.json"
    return PayoutSpec(
        KeyFile(path, given.passphrase_file, given.passphrase_variable),
        settings.stacks_network,
        PayoutPolicy(
            approve_above_usat=given.approve_above_sats * sat,
            payout_max_usat=given.payout_max_sats * sat,
            wallet_day_usat=given.wallet_day_sats * sat,
            day_usat=given.day_sats * sat,
            network_fee_ustx=given.network_fee_ustx,
        ),
    )


def _settlement_policy(settings: Settings) -> SettlementPolicy:
    """Settlements tell a wallet of a pending payment at least three times within its grace, or grace would run out
    between two sights.
    """
    usual = SettlementPolicy(route=SettleRoute(settings.settle.route))
    often_ms = max(100, settings.policy().grace_ms // 3)
    return replace(usual, refresh_ms=min(usual.refresh_ms, often_ms), poll_max_ms=min(usual.poll_max_ms, often_ms))
