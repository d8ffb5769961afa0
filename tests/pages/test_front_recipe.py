"""The front page's recipe: pasted as it stands, the command line finds this very gate, its chain, network and name."""

import asyncio
import re
import shlex
from argparse import Namespace
from html import unescape
from pathlib import Path

import pytest

from gate.pages.front_page import FrontView, front_page
from gate.pages.markup import el
from gate.pages.pricing import CoinPrice
from gate.settings import GateSettings
from relay_client.offers import assets, either
from satbox.cli.context import Context
from stacks import Network

TOTALS = {"states": {}, "wallets": 0, "burn_usat_per_second": 0, "burnt_usat": 0}
LOCAL, DEVNET = "http://127.0.0.1:4020", "http://127.0.0.1:4021/stacks"
GATES = {
    "as shipped": (LOCAL, DEVNET, Network.TESTNET, "satbox"),
    "other ports": ("http://127.0.0.1:5020", "http://127.0.0.1:5021/stacks", Network.TESTNET, "satbox"),
    "another devnet": (LOCAL, "http://127.0.0.1:5021/stacks", Network.TESTNET, "satbox"),
    "the public testnet": (LOCAL, "https://api.testnet.hiro.so", Network.TESTNET, "satbox"),
    "a public gate": ("https://gate.example", "https://api.testnet.hiro.so", Network.TESTNET, "gate.example"),
    "mainnet, another name": ("https://gate.example", "https://api.hiro.so", Network.MAINNET, "my boxes"),
}


def recipe(settings: GateSettings) -> list[str]:
    """Its lines, while sBTC alone of this network's coins is offered."""
    view = FrontView(settings, TOTALS, [CoinPrice(asset, None) for asset in assets(settings.network)])
    page = el("main", *front_page(view).body).text
    text = page.partition('id="start-cli"')[2].partition(">")[2].partition("</code>")[0]
    return unescape(re.sub("<[^>]*>", "", text)).splitlines()


@pytest.mark.parametrize("case", GATES)
def test_what_it_exports_leads_to_this_gate(case: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url, stacks_api, network, deployment = GATES[case]
    settings = GateSettings(deployment, network, "SP", url, "token", stacks_api=stacks_api)
    exported = [
        shlex.split(line.partition(" #")[0])[1].partition("=") for line in recipe(settings) if line.startswith("export")
    ]
    for name in ("GATE", "STACKS_API", "NETWORK", "DEPLOYMENT", "DEVNET_URL", "GATE__PORT", "DEVNET__PORT"):
        monkeypatch.delenv(f"SATBOX_{name}", raising=False)
    monkeypatch.setenv("SATBOX_HOME", str(tmp_path))
    for name, _, value in exported:
        monkeypatch.setenv(name, value)
    client = Context(Namespace()).client(with_agent=False)
    found = client.settings
    asyncio.run(client.close())

    assert (str(found.gate_url).rstrip("/"), found.stacks_api_url, found.network) == (url, stacks_api, network)
    assert found.expected_deployment in (None, deployment)
    assert bool(exported) == (case != "as shipped")


def test_it_names_the_coins_that_are_offered() -> None:
    lines = recipe(GateSettings("satbox", Network.TESTNET, "SP", LOCAL, "token", stacks_api=DEVNET))
    assert next(line for line in lines if "create" in line).endswith("402, paid in sBTC")
    assert either(["sBTC", "STX"]) == "sBTC or STX"
    assert either(["sBTC", "STX", "USDCx"]) == "sBTC, STX or USDCx"


def test_a_faucet_is_named_only_where_one_is() -> None:
    for case in GATES:
        url, stacks_api, network, deployment = GATES[case]
        lines = recipe(GateSettings(deployment, network, "SP", url, "token", stacks_api=stacks_api))
        assert any("faucet" in line for line in lines) == ("127.0.0.1" in stacks_api), case
