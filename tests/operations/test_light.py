"""Starting light: what is put off is there when it is used, and nobody is trusted who was not before."""

import asyncio
import datetime
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from operations import light

START = "from operations import light; light.start(); import sys; "


def said(program: str) -> str:
    """What a fresh interpreter prints that starts light and then runs the program."""
    run = subprocess.run([sys.executable, "-c", START + program], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_ray_is_imported_without_what_it_needs_on_many_machines_only() -> None:
    assert said("import ray; print([n for n in ('urllib3', 'referencing', 'yaml.loader') if n in sys.modules])") == "[]"


@pytest.mark.parametrize(
    "use",
    [
        "import requests; print(requests.Session.__name__)",
        "from requests import Session; print(Session.__name__)",
        "import requests.sessions; print(requests.sessions.Session.__name__)",
        "from requests.sessions import Session; print(Session.__name__)",
    ],
)
def test_what_is_put_off_is_there_when_it_is_used(use: str) -> None:
    assert said(use) == "Session"


def test_two_threads_may_be_the_first_to_use_it() -> None:
    program = """
import requests
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
together = Barrier(8)
def first(_):
    together.wait()
    return requests.Session
with ThreadPoolExecutor(8) as pool:
    print(len(set(pool.map(first, range(8)))))"""
    assert said(program) == "1"


def test_logs_come_without_rich_which_others_may_still_use() -> None:
    assert said("import structlog.dev; print(structlog.dev.rich); import rich; print(rich.__name__)") == "None\nrich"


def test_a_module_is_run_with_its_arguments() -> None:
    argv = [sys.executable, "-m", "operations.light", "json.tool", "--compact", "-"]
    assert subprocess.run(argv, input='{"a": 1}', capture_output=True, text=True, timeout=60).stdout == '{"a":1}\n'


def test_the_context_differs_from_the_usual_one_in_nothing_but_when_it_reads() -> None:
    usual, ours = ssl.create_default_context(), light._context()
    for name in ("verify_mode", "check_hostname", "verify_flags", "options", "protocol", "minimum_version"):
        assert getattr(ours, name) == getattr(usual, name), name
    assert ours.cert_store_stats()["x509"] == 0
    ours.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
    assert ours.cert_store_stats() == usual.cert_store_stats()


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """A certificate signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return folder / "cert.pem", folder / "key.pem"


ASK = """
import aiohttp, asyncio, importlib, sys
async def ask():
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(sys.argv[1]) as answer:
                print(await answer.text())
        except aiohttp.ClientError as error:
            print(type(error).__name__)
importlib.import_module(sys.argv[2]).run(ask())"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(
    ("host", "is_trusted", "expected"),
    [
        ("localhost", True, "hello"),
        ("localhost", False, "ClientConnectorCertificateError"),
        ("elsewhere.example", True, "ClientConnectorCertificateError"),
    ],
)
async def test_a_client_that_started_light_trusts_whom_the_machine_trusts(
    tmp_path: Path, loop: str, host: str, is_trusted: bool, expected: str
) -> None:
    certificate_path, key_path = certificate(tmp_path, host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_path, key_path)

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        asking = await asyncio.create_subprocess_exec(
            sys.executable, "-c", START + ASK, f"https://localhost:{runner.addresses[0][1]}/", loop,
            stdout=asyncio.subprocess.PIPE, env={"SSL_CERT_FILE": str(certificate_path)} if is_trusted else {},
        )  # fmt: skip
        out, _ = await asking.communicate()
    finally:
        await runner.cleanup()
    assert out.decode().strip() == expected
