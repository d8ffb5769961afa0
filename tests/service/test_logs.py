"""The logs of a whole run that went wrong in several ways, searched for every secret that it used."""

import asyncio
import base64
import contextlib
import json
import tempfile
from pathlib import Path

import aiohttp
import pytest

from operations.errors import SatboxError
from relay_client.payouts.keystore import write_key
from satbox.settings import PayoutsSection
from stacks import PrivateKey
from tests.sandboxes.running_node import HAS_REAL_NODE
from tests.service.running_service import Owner, RunningService, eventually
from tests.service.test_reclaims import quote

pytestmark = [pytest.mark.ray, pytest.mark.sandbox]
PASSPHRASE = "a-passphrase-that-no-log-may-have"
PAYOUT_KEY = PrivateKey(bytes(31) + b"\x67")
VARIABLE, HEADER = "variable-5f1c09", "header-77ab31"


def logs_of(service: RunningService) -> dict[str, bytes]:
    """Everything that a process of this service wrote as a log: its own folders and Ray's."""
    home = service.settings.home
    session = Path(json.loads((home / "run" / "ray.json").read_text())["session"]).resolve()
    files = [service.folder / "log", *home.rglob("*.log"), *home.rglob("logs/**/*"), *(session / "logs").rglob("*")]
    return {str(path): path.read_bytes() for path in files if path.is_file()}


async def secrets_of(service: RunningService, owner: Owner) -> dict[str, str]:
    """What was used, by name; made by use where it is made by use."""
    keys = service.settings.home / "keys"
    client = owner.client
    await client.secrets_set(name="MY_TOKEN", value=VARIABLE)
    await client.secrets_set(
        name="chain", kind="header", value=HEADER, alias="chain-api", upstream="https://api.example.com"
    )
    gate_pass = client._caller._passes.get()
    assert gate_pass is not None
    return {
        "payout passphrase": PASSPHRASE,
        "payout key": PAYOUT_KEY.secret.hex(),
        "operator key": (keys / "operator.pem").read_text().splitlines()[1],
        "variable": VARIABLE,
        "header": HEADER,
        "pass": gate_pass.token,
        "port token": (await client.ports_expose(8000)).token,
        "wake link": (await client.wake_links_create()).token,
        "Stacks key": owner.agent.stacks_key.secret.hex(),
        "Bitcoin key": owner.agent.bitcoin_key.secret.hex(),
        **{name: (keys / name).read_text().strip() for name in ("operator.token", "ray.token", "treasury.key", "secrets.key")},
    }  # fmt: skip


async def trouble(service: RunningService, secrets: dict[str, str]) -> None:
    """Requests that fail in odd places, with secrets in every part that a log line could quote."""
    async with aiohttp.ClientSession() as session:
        for secret in (secrets["pass"], secrets["operator.token"], secrets["port token"], secrets["wake link"]):
            for headers in (
                {"Authorization": f"Bearer {secret}"},
                {"X-Satbox-Token": secret},
                {"payment-signature": secret},
            ):
                for path in (
                    f"/sandbox/status?pass={secret}",
                    f"/sandbox/proxy/x/1/?satbox_token={secret}",
                    f"/{secret}",
                ):
                    async with session.post(service.gate_url + path, headers=headers, data=secret) as reply:
                        assert reply.status >= 400
    reader, writer = await asyncio.open_connection("127.0.0.1", service.settings.gate.port)
    writer.write(b"GET / HTTP/1.1\r\nAuthorization Bearer " + secrets["pass"].encode() + b"\r\n\r\n")
    assert b" 400 " in await reader.readline()
    writer.close()


async def test_no_log_of_a_run_has_a_secret_that_it_used() -> None:
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    with tempfile.TemporaryDirectory() as folder:
        phrase = Path(folder) / "phrase"
        phrase.write_text(PASSPHRASE + "\n")
        service = RunningService(payouts=PayoutsSection(passphrase_file=phrase))
        key = service.settings.home / "keys" / "payout.json"
        await asyncio.to_thread(write_key, key, PAYOUT_KEY, PASSPHRASE)
        document = json.loads(key.read_text())
        document["header"]["n"] = float("inf")  # fails where the passphrase is a local variable
        key.write_text(json.dumps(document))
        await service.start()
        try:
            owner = await service.agent()
            await owner.client.sandbox_create(sats=1_000)
            await owner.until(lambda now: now.state == "alive" and now.deposited_usat > 0)
            secrets = await secrets_of(service, owner)
            await owner.client.sandbox_exec(shell="echo $MY_TOKEN", env={"GIVEN": VARIABLE})
            await trouble(service, secrets)
            await service.kill("node")
            with contextlib.suppress(SatboxError):
                await owner.client.sandbox_exec(shell="echo $MY_TOKEN")
            await owner.client.sandbox_reap()
            assert (await owner.client.reclaim(await quote(owner))).status in ("accepted", "waiting")

            async def payouts_failed() -> bool:
                return any(b"payout" in text for text in logs_of(service).values())

            await eventually(payouts_failed)  # so that what is searched is there
            found = {
                (name, path): None
                for path, text in logs_of(service).items()
                for name, secret in secrets.items()
                if secret.encode() in text or base64.b64encode(secret.encode()) in text
            }
            assert list(found) == []
            await owner.client.close()
        finally:
            await service.remove()
