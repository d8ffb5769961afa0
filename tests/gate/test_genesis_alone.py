"""The genesis gate as somebody else's library: what it drags in, whether its page is true, whether its example runs."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gate.genesis import PassIssuer, example
from gate.genesis.passes import PASS_SECONDS
from operations.errors import ERRORS, SatboxError

GENESIS = Path(__file__).parents[2] / "gate" / "genesis"
ROWS = re.findall(r"^\| `(\w+)` \| (\d+) \|", (GENESIS / "README.md").read_text(), re.MULTILINE)
PACKAGES = {
    "actors",
    "devnet",
    "gate",
    "images",
    "operations",
    "oracle",
    "relay_client",
    "sandboxes",
    "satbox",
    "stacks",
}
HEAVY = {"ray", "bitcoinlib", "pydantic", "structlog", "prometheus_client", "sqlalchemy"}


def test_importing_it_drags_in_codecs_and_errors_alone() -> None:
    script = "import json, sys, gate.genesis; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=GENESIS.parents[1]
    )
    modules = json.loads(out.stdout)
    ours = {name for name in modules if name.partition(".")[0] in PACKAGES}
    allowed = re.compile(r"gate|gate\.genesis(\..*)?|stacks(\..*)?|operations|operations\.errors(\..*)?")
    assert {name for name in ours if not allowed.fullmatch(name)} == set()
    assert {name.partition(".")[0] for name in modules} & HEAVY == set()
    assert not any(name.startswith("aiohttp.web") for name in modules)


def raised_codes() -> set[str]:
    """Every literal code of a SatboxError in the package, however it is worded."""
    found = set()
    for path in GENESIS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in ERRORS:
                found.add(str(node.value))
    return found


def test_the_page_lists_every_code_with_its_status() -> None:
    assert {code for code, _ in ROWS} == raised_codes()
    assert {code: int(status) for code, status in ROWS} == {code: ERRORS[code].status for code, _ in ROWS}


@pytest.mark.parametrize("code", [code for code, _ in ROWS])
def test_every_code_has_a_test(code: str) -> None:
    tests = "".join((Path(__file__).parent / name).read_text() for name in ("test_genesis.py", "test_genesis_alone.py"))
    assert f'"{code}"' in tests


async def test_the_example_lets_an_agent_in_once() -> None:
    said: list[str] = []
    agent = await example.main(said.append)
    assert (agent.btc_address, agent.level) == (example.BITCOIN_ADDRESS, 2)
    assert said[-1].startswith("once more: challenge_replayed")


def test_the_example_runs_as_its_page_says() -> None:
    out = subprocess.run(
        [sys.executable, "-m", "gate.genesis.example"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=GENESIS.parents[1],
    )
    assert out.returncode == 0, out.stderr
    assert "challenge_replayed" in out.stdout


def test_passes_expire_and_belong_to_one_deployment() -> None:
    now = [1_000_000.0]
    key = Ed25519PrivateKey.generate()
    issuer = PassIssuer(key, deployment="one", wall_seconds=lambda: now[0])
    token, made = issuer.issue("ST1", "bc1", 2, "owner", 0)
    assert issuer.read(token) == made
    cases = [
        ("pass_invalid", lambda: PassIssuer(key, deployment="two", wall_seconds=lambda: now[0]).read(token)),
        ("pass_invalid", lambda: issuer.read(token + "x")),
        ("pass_invalid", lambda: issuer.read("x" * 3000)),
        ("invalid_request", lambda: issuer.issue("ST1", "bc1", 2, "everything", 0)),
    ]
    for code, call in cases:
        with pytest.raises(SatboxError) as refused:
            call()
        assert refused.value.code == code
    now[0] += PASS_SECONDS
    with pytest.raises(SatboxError) as refused:
        issuer.read(token)
    assert refused.value.code == "pass_expired"
