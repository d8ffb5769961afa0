"""The oracle's section of the settings, and what becomes of it."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from oracle.sources import NAMES
from satbox.compose import Deployment
from satbox.settings import DevnetSection, OracleSection, Settings

MAINNET = {"network": "mainnet", "deployment": "hut-3", "pay_to": "SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7"}


def made(home: Path, **changes: Any) -> Settings:
    return Settings(home=home, **changes)


def test_the_devnet_stands_in_for_every_source(tmp_path: Path) -> None:
    settings = made(tmp_path)
    settings.upstreams.prices = "http://127.0.0.1:9/prices"
    spec = Deployment.load(settings).oracle_spec()
    assert spec.bases == {name: f"http://127.0.0.1:9/prices/{name}" for name in NAMES}


def test_hosts_keys_and_haircut_come_from_settings(tmp_path: Path) -> None:
    section = OracleSection(
        hosts={"kraken": "https://mirror.example"}, without=["binance"], tenero_api_key="k", haircut_ppm=5_000
    )
    spec = Deployment.load(made(tmp_path, oracle=section)).oracle_spec()
    assert spec.bases["kraken"] == "https://mirror.example"
    assert "binance" not in spec.bases
    assert spec.bases["okx"].startswith("https://")
    assert spec.headers == {"tenero": {"x-api-key": "k"}}, "the key goes to its own host alone"
    assert spec.settings.rules.haircut_ppm == 5_000
    assert "api_key" not in repr(section)


@pytest.mark.parametrize(
    "section",
    [{"hosts": {"moon": "https://x"}}, {"without": ["kraken", "binance", "okx", "bybit", "gate"]}, {"haircut_ppm": -1}],
)
def test_settings_that_cannot_make_a_price_are_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OracleSection(**section)


def test_mainnet_asks_no_source_in_the_clear(tmp_path: Path) -> None:
    off = DevnetSection(enabled=False)
    made(tmp_path, devnet=off, **MAINNET)
    with pytest.raises(ValidationError, match=r"oracle\.hosts\.kraken must be https"):
        made(tmp_path, devnet=off, oracle=OracleSection(hosts={"kraken": "http://x"}), **MAINNET)


def test_mainnet_wants_a_deployment_name_of_its_own(tmp_path: Path) -> None:
    off = DevnetSection(enabled=False)
    named = {name: value for name, value in MAINNET.items() if name != "deployment"}
    with pytest.raises(ValidationError, match="deployment is required on mainnet"):
        made(tmp_path, devnet=off, **named)
    made(tmp_path, devnet=off, **named, deployment="hut-7")
    made(tmp_path)  # elsewhere the default does
