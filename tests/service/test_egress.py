"""A sandbox's way out through the whole service: the service's own aliases, secrets, clones."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from operations.errors import SatboxError
from tests.service.git_server import BACKEND, GitServer, make_repository
from tests.service.running_service import Owner, RunningService, eventually
from tests.service.searching import files_with

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

VARIABLE = "v4r-0f2b77c1-seen-inside-only"
HEADER = "h34d-9a61ee05-never-seen-inside"
ECHO, GIT = "echo.satbox.internal", "git.satbox.internal"


class Echo:
    """An upstream of the operator's that remembers what it was sent."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        self.url = ""

    async def open(self) -> None:
        async def answer(request: web.Request) -> web.Response:
            self.seen.append({**request.headers, "path": request.path_qs})
            return web.Response(text="told", headers={"X-Echo": request.headers.get("X-Key", "")})

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"


class Place:
    """One service, an agent with a sandbox, and what it may reach."""

    def __init__(self, service: RunningService, owner: Owner, echo: Echo, git: GitServer, head: str) -> None:
        self.service = service
        self.owner = owner
        self.client = owner.client
        self.echo = echo
        self.git = git
        self.head = head

    async def run(self, command: str) -> str:
        result = await self.client.sandbox_exec(shell=command)
        assert result.exit_code == 0, result
        return result.stdout


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("git")
    head = await asyncio.to_thread(make_repository, folder)
    echo, git = Echo(), GitServer(folder, HEADER)
    await echo.open()
    await git.open()
    service = RunningService()
    egress = {"internal": {ECHO: echo.url, GIT: git.url}}
    service.settings = service.settings.model_copy(update={"node": service.settings.node | {"egress": egress}})
    await service.start()
    owner = await service.agent()
    await owner.client.sandbox_create(sats=2_000)
    await owner.until(lambda now: now.state == "alive")
    yield Place(service, owner, echo, git, head)
    await owner.client.close()
    await service.remove()
    await echo.runner.cleanup()
    await git.close()


async def test_gate_and_chain_are_reached_by_their_aliases(place: Place) -> None:
    health = await place.run("curl -sS -m 10 http://gate.satbox.internal/health")
    info = await place.run("curl -sS -m 10 http://stacks-api.satbox.internal/v2/info")

    assert '"ok"' in health
    assert "stacks_tip_height" in info


async def test_a_sandbox_calls_the_gate_in_its_wallets_name_and_never_sees_by_what(place: Place) -> None:
    shown = json.loads(await place.run("curl -sS -m 10 http://gate.satbox.internal/self"))
    assert (shown["address"], shown["state"]) == (place.owner.address, "alive")
    assert (shown["key"]["key_id"], shown["key"]["sats_per_day"]) == ("self", 200)
    seen = await place.run("env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; exit 0")
    assert "sbself_" not in seen
    refused = json.loads(await place.run("curl -sS -m 10 -X POST http://gate.satbox.internal/sandbox/reap"))
    assert refused["error"]["code"] == "spending_key_scope"


async def test_the_devnet_s_controls_are_not_below_the_chain_s_alias(place: Place) -> None:
    for path in ("/../devnet/faults", "/%2e%2e/devnet/faults", "/..%2fdevnet/faults", "//devnet/faults"):
        answer = await place.run(
            f"curl -sS -m 10 --path-as-is -w '%{{http_code}}' 'http://stacks-api.satbox.internal{path}'"
        )
        assert "egress_bad_request" in answer, path
    port = place.service.settings.devnet.port
    answer = await place.run(f"curl -sS -m 10 --noproxy '' http://127.0.0.1:{port}/devnet/faults")
    assert "egress_denied" in answer


async def test_a_variable_is_in_every_command_and_a_header_in_none(place: Place) -> None:
    client = place.client
    told = await client.secrets_set(name="MY_TOKEN", value=VARIABLE)
    header = await client.secrets_set(
        name="api_key",
        kind="header",
        value=HEADER,
        alias="api",
        upstream=f"http://{ECHO}",
        header="X-Key",
        template="{}",
    )
    listed = await client.secrets_list()

    assert (told.kind, header.alias) == ("env", "api.satbox.internal")
    assert [item.name for item in listed.items] == ["MY_TOKEN", "api_key"]
    for answer in (told, header, listed):
        assert VARIABLE not in answer.model_dump_json()
        assert HEADER not in answer.model_dump_json()
    assert await place.run("echo ${#MY_TOKEN}") == f"{len(VARIABLE)}\n"
    process = await client.processes_start(shell='test "$MY_TOKEN" && exit 7')
    waited = await client.processes_wait(process_id=process.process_id)
    assert waited.exit_code == 7
    seen = await place.run(
        "curl -sS -m 10 -i -H 'X-Key: mine' http://api.satbox.internal/a?b; env; cat /proc/self/environ"
    )
    assert "told" in seen
    assert HEADER not in seen
    assert "[redacted]" in seen
    assert (place.echo.seen[-1]["X-Key"], place.echo.seen[-1]["path"]) == (HEADER, "/a?b")
    await client.processes_kill(process_id=process.process_id)


async def test_a_caller_s_own_variable_wins(place: Place) -> None:
    await place.client.secrets_set(name="MY_TOKEN", value=VARIABLE)

    result = await place.client.sandbox_exec(shell="echo $MY_TOKEN", env={"MY_TOKEN": "given"})

    assert result.stdout == "given\n"


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "HTTP_PROXY"}, {"name": "all_proxy"}, {"name": "SATBOX_X"}, {"name": "LD_PRELOAD"}, {"value": ""},
        {"value": "a\0b"}, {"alias": "x"}, {"kind": "header"}, {"kind": "header", "alias": "x", "upstream": "http://a.test"},
        {"kind": "header", "alias": "gate", "upstream": "https://a.test"},
        {"kind": "header", "alias": "x", "upstream": "https://a.test", "template": "no place"},
        {"kind": "header", "alias": "x", "upstream": "https://a.test", "header": "Host"},
        {"kind": "header", "alias": "x", "upstream": "https://a.test", "value": "a\r\nb"},
        {"kind": "header", "alias": "x", "upstream": "https://u:p@a.test"},
    ],
)  # fmt: skip
async def test_what_can_not_be_kept_is_refused_without_repeating_it(place: Place, fields: dict[str, str]) -> None:
    given = {"name": "OTHER", "value": "s3cr3t-not-to-be-repeated", **fields}
    with pytest.raises(SatboxError) as caught:
        await place.client.secrets_set(**given)  # type: ignore[arg-type]

    assert caught.value.code in ("invalid_request", "secret_name_reserved")
    assert "s3cr3t" not in str(caught.value.body("x"))


@pytest.mark.skipif(not BACKEND.exists(), reason="needs git's http-backend")
async def test_a_private_repository_is_cloned_by_a_secret_that_stays_outside(place: Place) -> None:
    client = place.client
    await client.secrets_set(name="git_key", kind="header", value=HEADER, alias="code", upstream=f"http://{GIT}")
    url = f"http://{GIT}/code.git"

    with pytest.raises(SatboxError) as caught:
        await client.git_clone(url=url, path="/workspace/refused")
    cloned = await client.git_clone(url=url, path="/workspace/code", secret="git_key", branch="main")
    shallow = await client.git_clone(url="http://code.satbox.internal/code.git", path="shallow", depth=1)
    with pytest.raises(SatboxError) as again:
        await client.git_clone(url=url, path="/workspace/code", secret="git_key")

    assert caught.value.code == "clone_failed"
    assert place.git.refused > 0
    assert (cloned.commit, cloned.branch, cloned.files, cloned.bytes) == (place.head, "main", 2, 24)
    assert shallow.commit == place.head
    assert again.value.code == "path_exists"
    assert (
        await place.run("cat /workspace/code/README; git -C /workspace/shallow rev-list --count HEAD")
        == "version 2\n1\n"
    )
    assert HEADER not in await place.run("cat /workspace/code/.git/config; ls /workspace/code/.git/hooks 2>&1; true")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"url": "file:///etc"}, "invalid_request"), ({"url": "ssh://a.test/x"}, "invalid_request"),
        ({"url": "http://a.test/x"}, "invalid_request"), ({"url": "https://u:p@a.test/x"}, "invalid_request"),
        ({"url": "ext::sh -c id"}, "invalid_request"), ({"url": "--upload-pack=id"}, "invalid_request"),
        ({"url": "https://a.test/x", "path": "/etc/x"}, "path_invalid"),
        ({"url": "https://a.test/x", "path": "/workspace/../x"}, "path_invalid"),
        ({"url": "https://a.test/x", "branch": "--upload-pack=id"}, "invalid_request"),
        ({"url": "https://a.test/x", "secret": "missing"}, "secret_not_found"),
        ({"url": "https://a.test/x"}, "clone_failed"),
    ],
)  # fmt: skip
async def test_what_is_no_clone_is_refused(place: Place, fields: dict[str, str], code: str) -> None:
    with pytest.raises(SatboxError) as caught:
        await place.client.git_clone(**{"path": "/workspace/none", **fields})  # type: ignore[arg-type]

    assert caught.value.code == code
    if code == "clone_failed":
        assert "403" in str(caught.value.details["stderr"])


async def test_secrets_survive_gate_and_proxy(place: Place) -> None:
    await place.client.secrets_set(name="MY_TOKEN", value=VARIABLE)
    await place.client.secrets_set(
        name="api_key",
        kind="header",
        value=HEADER,
        alias="api",
        upstream=f"http://{ECHO}",
        header="X-Key",
        template="{}",
    )
    await place.service.kill("gate")
    place.echo.seen.clear()

    async def answered() -> str | None:
        with contextlib.suppress(SatboxError):
            return await place.run("curl -sS -m 10 http://api.satbox.internal/after; echo ${#MY_TOKEN}")
        return None

    assert (await eventually(answered)) == f"told{len(VARIABLE)}\n"
    assert place.echo.seen[-1]["X-Key"] == HEADER


def found_in(service: RunningService) -> list[str]:
    """Files of this service, or in Ray's own folder of it, that hold one of the secrets."""
    session = json.loads((service.folder / "home" / "run" / "ray.json").read_text())["session"]
    return files_with((service.folder, Path(session)), (VARIABLE, HEADER))


def rows_left(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT count(*) FROM secrets").fetchone()[0])


async def test_no_file_and_no_log_has_a_secret_and_destroying_deletes_them(place: Place) -> None:
    """Last: the sandbox goes."""
    client, service = place.client, place.service
    await client.secrets_set(name="MY_TOKEN", value=VARIABLE)
    await place.run("true")
    assert await asyncio.to_thread(found_in, service) == []

    await client.secrets_delete(name="MY_TOKEN")
    assert await place.run("echo ${#MY_TOKEN}") == "0\n"
    with pytest.raises(SatboxError) as caught:
        await client.secrets_delete(name="MY_TOKEN")
    assert caught.value.code == "secret_not_found"
    await client.sandbox_reap(destroy=True)
    assert (await client.secrets_list()).items == []
    assert await asyncio.to_thread(rows_left, service.settings.home / "secrets.sqlite") == 0
    assert await asyncio.to_thread(found_in, service) == []
