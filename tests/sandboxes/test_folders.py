"""Folders as archives in and out of a real sandbox, parts of files, and changes as they happen."""

import asyncio
import gzip
import io
import socket
import tarfile
import zipfile
from typing import Any

import pytest

from sandboxes.protocol import SandboxError
from tests.sandboxes.conftest import Box
from tests.sandboxes.running_node import RunningNode

pytestmark = [pytest.mark.sandbox, pytest.mark.shared_node]


async def packed(box: Box, path: str, kind: str) -> bytes:
    return b"".join([chunk async for chunk in box.client.pack_folder(box.runtime_id, path, kind)])


def tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
async def test_a_folder_goes_out_and_in_again(box: Box, kind: str) -> None:
    await box.run(
        "mkdir -p a/empty; echo one > a/one; head -c 300000 /dev/urandom > a/big; ln -s one a/link; chmod 750 a/one"
    )

    counts = await box.client.unpack_folder(box.runtime_id, "b", await packed(box, "a", kind), kind)
    same = await box.run("diff -r a b && readlink b/link && stat -c %a b/one && ls -d b/empty")

    assert (counts["files"], counts["skipped"]) == (3, 0)
    assert same["stdout"] == "one\n750\nb/empty\n"


async def test_folders_keep_their_modes_and_hard_links_stay_links(box: Box) -> None:
    await box.run("mkdir -p a/private; echo 1 > a/private/key; ln a/private/key a/same; chmod 500 a/private")

    counts = await box.client.unpack_folder(box.runtime_id, "b", await packed(box, "a", "tar"), "tar")
    same = await box.run("stat -c '%a %h' b/private b/private/key; test b/same -ef b/private/key")

    assert (counts["files"], counts["skipped"], same["exit_code"]) == (2, 0, 0)
    assert same["stdout"] == "700 2\n644 2\n"


async def test_what_goes_out_is_read_by_others(box: Box) -> None:
    await box.run("mkdir d; echo hello > d/x.txt")

    with tarfile.open(fileobj=io.BytesIO(await packed(box, "d", "tar.gz"))) as archive:
        names = archive.getnames()
    with zipfile.ZipFile(io.BytesIO(await packed(box, "d", "zip"))) as zipped:
        content = zipped.read("x.txt")

    assert (names, content) == (["x.txt"], b"hello\n")


ESCAPES: dict[str, list[tuple[tarfile.TarInfo, bytes]]] = {
    "up": [(member("../evil"), b"x"), (member("a/../../evil"), b"x")],
    "absolute": [(member("/tmp/evil"), b"x")],
    "link out": [(member("out", tarfile.SYMTYPE, "/tmp"), b""), (member("out/evil"), b"x")],
    "link up": [(member("up", tarfile.SYMTYPE, "../../tmp"), b""), (member("up/evil"), b"x")],
    "hard link out": [(member("passwd", tarfile.LNKTYPE, "/etc/passwd"), b"")],
    "device": [(member("null", tarfile.CHRTYPE), b""), (member("pipe", tarfile.FIFOTYPE), b"")],
}


@pytest.mark.parametrize("escape", ESCAPES)
async def test_members_that_lead_out_are_left_out_and_counted(box: Box, escape: str) -> None:
    members = ESCAPES[escape]

    counts = await box.client.unpack_folder(box.runtime_id, "in", tar([*members, (member("good"), b"good")]))
    outside = await box.run("find / -name evil -not -path '/workspace/in/*' 2>/dev/null")

    assert counts["skipped"] >= 1
    assert outside["stdout"] == ""
    assert (await box.client.read_file(box.runtime_id, "in/good")) == b"good"


async def test_a_link_that_is_there_already_is_not_written_through(box: Box) -> None:
    await box.run("mkdir in; echo mine > /workspace/kept; ln -s /workspace/kept in/file; ln -s /tmp in/folder")

    await box.client.unpack_folder(box.runtime_id, "in", tar([(member("file"), b"new"), (member("folder/evil"), b"x")]))
    kept = await box.run("cat kept in/file; ls /tmp")

    assert kept["stdout"] == "mine\nnew"


async def test_set_id_bits_do_not_survive(box: Box) -> None:
    await box.client.unpack_folder(box.runtime_id, "in", tar([(member("tool", mode=0o6755), b"#!/bin/sh\n")]))

    assert (await box.client.stat_file(box.runtime_id, "in/tool"))["mode"] == 0o755


def bomb(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(20):
                archive.writestr(f"zeros-{number}", bytes(50 << 20))
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=9) as archive:
        for number in range(20):
            info = tarfile.TarInfo(f"zeros-{number}")
            info.size = 50 << 20
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
async def test_a_bomb_fills_its_own_disk_and_is_taken_away_again(box: Box, kind: str) -> None:
    with pytest.raises(SandboxError) as refused:
        await box.client.unpack_folder(box.runtime_id, "in", bomb(kind), kind)

    left = await box.run("du -sm /workspace | cut -f1")
    assert refused.value.code == "no_space"
    assert int(str(left["stdout"])) < 10


BROKEN: dict[str, tuple[str, bytes]] = {
    "no tar": ("tar", b"this is no archive at all" * 100),
    "no zip": ("zip", b"PK but not really" * 100),
    "a tar cut short": ("tar", tar([(member("a"), b"x" * 100_000)])[:50_000]),
    "a gzip cut short": ("tar.gz", gzip.compress(tar([(member("a"), bytes(range(256)) * 4000)]))[:800]),
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_bytes_that_are_no_archive_leave_nothing(box: Box, broken: str) -> None:
    kind, data = BROKEN[broken]

    with pytest.raises(SandboxError) as refused:
        await box.client.unpack_folder(box.runtime_id, "in", data, kind)

    assert (refused.value.status, refused.value.code) == (400, "bad_archive")
    assert (await box.run("test -e in || echo gone"))["stdout"] == "gone\n"


async def test_parts_of_a_file(box: Box) -> None:
    await box.client.write_file(box.runtime_id, "f", bytes(range(100)))

    async def part(*window: int) -> bytes:
        return b"".join([chunk async for chunk in box.client.stream_file(box.runtime_id, "f", *window)])

    assert await part(10, 5) == bytes(range(10, 15))
    assert await part(95, 50) == bytes(range(95, 100))
    assert await part(90) == bytes(range(90, 100))
    assert await part(500, 50) == b""


async def test_changes_are_told_as_they_happen_also_in_new_folders(box: Box) -> None:
    watching = box.client.watch_files(box.runtime_id, "/workspace")
    first = await anext(watching)
    await box.run("mkdir sub; sleep 0.1; echo x > sub/file; mv sub/file sub/moved; rm sub/moved")
    seen: list[dict[str, Any]] = []
    async for event in watching:
        seen.append(event)
        if event["event"] == "deleted":
            break
    await watching.aclose()  # type: ignore[attr-defined]

    told = [(event["event"], event["path"], event["type"]) for event in seen]
    assert first == {"event": "watching", "partial": False}
    assert ("created", "/workspace/sub", "directory") in told
    assert ("written", "/workspace/sub/file", "file") in told
    assert ("moved_from", "/workspace/sub/file", "file") in told
    assert told[-1] == ("deleted", "/workspace/sub/moved", "file")


async def test_no_file_in_a_new_folder_is_missed(box: Box) -> None:
    wanted = {f"/workspace/t/d{number % 20}/e/f{number}" for number in range(200)}
    await box.python(
        "import os, tarfile\n"
        "for n in range(200):\n os.makedirs(f'/tmp/t/d{n % 20}/e', exist_ok=True)\n"
        " open(f'/tmp/t/d{n % 20}/e/f{n}', 'w').close()\n"
        "tarfile.open('/tmp/t.tar', 'w').add('/tmp/t', 't')\n"
    )
    watching = box.client.watch_files(box.runtime_id, "/workspace")
    assert (await anext(watching))["event"] == "watching"
    await box.run("tar xf /tmp/t.tar && echo > end")
    seen: set[str] = set()
    async with asyncio.timeout(120):
        async for event in watching:
            seen.add(str(event["path"]))
            if event["event"] == "overflow":
                break  # said, so nothing is lost in silence
            if event["path"] == "/workspace/end" and wanted <= seen:
                break
    await watching.aclose()  # type: ignore[attr-defined]

    assert wanted <= seen


async def test_a_folder_that_goes_is_told_once_and_as_a_folder(box: Box) -> None:
    await box.run("mkdir -p gone/in && echo > gone/in/x")
    watching = box.client.watch_files(box.runtime_id, "/workspace")
    await anext(watching)
    await box.run("chmod 700 gone; rm -r gone; echo > end")
    seen: list[tuple[str, str, str]] = []
    async with asyncio.timeout(120):
        async for event in watching:
            seen.append((event["event"], event["path"], event["type"]))
            if event["path"] == "/workspace/end":
                break
    await watching.aclose()  # type: ignore[attr-defined]

    assert [each for each in seen if each[0] in ("changed", "deleted")] == [
        ("changed", "/workspace/gone", "directory"),
        ("deleted", "/workspace/gone/in/x", "file"),
        ("deleted", "/workspace/gone/in", "directory"),
        ("deleted", "/workspace/gone", "directory"),
    ]


async def test_a_folder_that_moves_is_told_under_its_new_name(box: Box) -> None:
    await box.run("mkdir -p a/in && mkdir /tmp/out")
    watching = box.client.watch_files(box.runtime_id, "/workspace")
    await anext(watching)
    await box.run(
        "mv a b && sleep 0.2 && echo > b/in/x && mv b /tmp/out/ && sleep 0.2 && echo > /tmp/out/b/in/y && echo > end"
    )
    seen: list[str] = []
    async with asyncio.timeout(120):
        async for event in watching:
            seen.append(str(event["path"]))
            if event["path"] == "/workspace/end":
                break
    await watching.aclose()  # type: ignore[attr-defined]

    assert "/workspace/b/in/x" in seen
    assert not [path for path in seen if path.endswith("/y")], "it is not below the folder any more"


async def test_folders_over_the_limit_are_told(box: Box) -> None:
    watching = box.client.watch_files(box.runtime_id, "/workspace")
    assert (await anext(watching))["partial"] is False
    await box.python("import os\nos.mkdir('/workspace/many')\nfor n in range(2100): os.mkdir(f'/workspace/many/{n}')")
    async with asyncio.timeout(120):
        async for event in watching:
            if event["event"] == "overflow":
                break
    await watching.aclose()  # type: ignore[attr-defined]


async def test_a_folder_with_a_file_that_cannot_be_read_is_refused_and_the_file_named(box: Box) -> None:
    await box.run("mkdir -p d/e; echo x > d/e/mine; chmod 000 d/e/mine; touch -d 1975-01-01 d/old")

    for kind in ("tar", "zip"):
        with pytest.raises(SandboxError) as refused:
            await packed(box, "d", kind)
        assert refused.value.code == "permission_denied"
        assert "d/e/mine" in refused.value.message
    await box.run("chmod 600 d/e/mine")
    with zipfile.ZipFile(io.BytesIO(await packed(box, "d", "zip"))) as zipped:
        assert {"old", "e/mine"} <= set(zipped.namelist())


async def test_what_is_left_out_of_an_archive_is_named(box: Box) -> None:
    links = [(member("abs", tarfile.SYMTYPE, "/etc/hosts"), b""), (member("hard", tarfile.LNKTYPE, "/etc/passwd"), b"")]
    counts = await box.client.unpack_folder(
        box.runtime_id, "in", tar([*links, (member("../up"), b"x"), (member("ok"), b"x")])
    )

    assert (counts["skipped"], counts["skipped_names"]) == (3, ["abs", "hard", "../up"])

    many = [(member(f"p{number}", tarfile.FIFOTYPE), b"") for number in range(150)]
    counts = await box.client.unpack_folder(box.runtime_id, "in2", tar(many))
    assert (counts["skipped"], len(counts["skipped_names"])) == (150, 100)


async def test_pipes_and_sockets_that_an_archive_lacks_are_named(box: Box) -> None:
    await box.run("mkdir -p d/e; echo x > d/file; mkfifo d/e/pipe; truncate -s 10G d/disk")
    await box.python("import socket; socket.socket(socket.AF_UNIX).bind('/workspace/d/sock')")
    told: list[tuple[int, list[str]]] = []
    for kind, lacks in (("tar", (2, ["sock", "e/pipe"])), ("zip", (3, ["disk", "sock", "e/pipe"]))):
        pieces = box.client.pack_folder(box.runtime_id, "d", kind, lambda *seen: told.append(seen))
        data = b"".join([piece async for piece in pieces])
        count, names = told.pop()
        assert (count, sorted(names)) == (lacks[0], sorted(lacks[1]))
        assert len(data) < 64 << 10


async def test_a_watcher_that_leaves_is_no_fault_of_the_node(box: Box, node: RunningNode) -> None:
    reader, writer = await asyncio.open_unix_connection(node.socket)
    path = f"/v1/runtimes/{box.runtime_id}/files/watch?path=/workspace"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: node\r\n\r\n".encode())
    while b"watching" not in await reader.readline():
        pass
    # Changes are on their way to somebody who resets the connection: the node finds out by writing.
    writer.transport.get_extra_info("socket").shutdown(socket.SHUT_RD)
    await box.run("for n in $(seq 200); do touch f$n; done")
    writer.transport.abort()
    await box.run("for n in $(seq 200); do rm f$n; done")

    assert (await box.run(["echo", "alive"]))["stdout"] == "alive\n"
    assert "Traceback" not in node.log_text
