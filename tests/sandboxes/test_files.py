"""Files in and out of a real sandbox, and the ways out that are closed."""

import hashlib
from collections.abc import AsyncIterator

import pytest

from sandboxes.protocol import SandboxError
from tests.sandboxes.conftest import Box

pytestmark = pytest.mark.sandbox


async def refused(call: object) -> tuple[int, str]:
    with pytest.raises(SandboxError) as failure:
        await call  # type: ignore[misc]
    return failure.value.status, failure.value.code


async def test_bytes_come_back_as_they_went_in(box: Box) -> None:
    data = hashlib.sha256(b"seed").digest() * 100_000

    size = await box.client.write_file(box.runtime_id, "folder/../data.bin", data, mode=0o640)

    assert size == len(data)
    assert await box.client.read_file(box.runtime_id, "/workspace/data.bin") == data
    assert (await box.run("sha256sum < data.bin"))["stdout"].split()[0] == hashlib.sha256(data).hexdigest()
    assert (await box.client.stat_file(box.runtime_id, "data.bin"))["mode"] == 0o640


async def test_streamed_upload_and_empty_files(box: Box) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(100):
            yield bytes([number]) * 10_000

    assert await box.client.write_file(box.runtime_id, "a", pieces()) == 1_000_000
    assert await box.client.write_file(box.runtime_id, "b", b"") == 0
    assert await box.client.read_file(box.runtime_id, "b") == b""
    got = b"".join([chunk async for chunk in box.client.stream_file(box.runtime_id, "a")])
    assert got == b"".join(bytes([number]) * 10_000 for number in range(100))


async def test_folders_are_made_listed_moved_and_deleted(box: Box) -> None:
    client, rid = box.client, box.runtime_id
    await client.make_folder(rid, "x/y")
    await client.write_file(rid, "x/y/z", b"1")
    await box.run("ln -s /etc/passwd x/link")

    entries = {entry["name"]: entry for entry in (await client.list_files(rid, "x"))["entries"]}
    await client.move_file(rid, "x", "moved")
    not_empty = await refused(client.delete_file(rid, "moved"))
    await client.delete_file(rid, "moved", recursive=True)

    assert entries["y"]["type"] == "directory"
    assert (entries["link"]["type"], entries["link"]["target"]) == ("link", "/etc/passwd")
    assert not_empty == (409, "not_empty")
    assert await refused(client.stat_file(rid, "moved")) == (404, "not_found")
    assert (await box.run("wc -l < /etc/passwd"))["exit_code"] == 0


async def test_each_refusal_has_its_code(box: Box) -> None:
    client, rid = box.client, box.runtime_id
    await client.write_file(rid, "here", b"1")
    await box.run("mkfifo fifo")

    assert await refused(client.read_file(rid, "missing")) == (404, "not_found")
    assert await refused(client.read_file(rid, ".")) == (409, "is_directory")
    assert await refused(client.read_file(rid, "fifo")) == (409, "not_regular")
    assert await refused(client.write_file(rid, "/usr/bin/x", b"1")) == (403, "permission_denied")
    assert await refused(client.write_file(rid, "here/x", b"1")) == (409, "not_directory")
    assert await refused(client.move_file(rid, "here", "here")) == (409, "already_exists")
    assert await refused(client.read_file(rid, "a\0b")) == (400, "bad_path")
    assert await refused(client.delete_file(rid, "/workspace")) in {
        (409, "io_error"),
        (403, "permission_denied"),
        (500, "io_error"),
    }


async def test_links_lead_nowhere_the_tenant_could_not_go(box: Box) -> None:
    client, rid = box.client, box.runtime_id
    await box.run(
        "ln -s /proc/1/environ e; ln -s /proc/self/mem m; ln -s /proc/1/root r; ln -s /etc/passwd p;"
        "ln -s ../../../../etc/shadow s"
    )

    assert await refused(client.read_file(rid, "e")) == (403, "permission_denied")
    assert await refused(client.read_file(rid, "m")) == (403, "permission_denied")
    assert await refused(client.list_files(rid, "r")) == (403, "permission_denied")
    assert await refused(client.read_file(rid, "s")) == (404, "not_found")
    assert await refused(client.write_file(rid, "p", b"root::0:0")) == (403, "permission_denied")
    assert await refused(client.write_file(rid, "/proc/self/oom_score_adj", b"0")) == (403, "permission_denied")
    assert b"tenant" in await client.read_file(rid, "p")  # the sandbox's own, made for it


async def test_an_upload_that_breaks_off_leaves_the_old_file(box: Box) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        raise RuntimeError("the uploader's trouble")

    await box.client.write_file(box.runtime_id, "file", b"old")
    with pytest.raises((RuntimeError, SandboxError)):
        await box.client.write_file(box.runtime_id, "file", broken())

    assert await box.client.read_file(box.runtime_id, "file") == b"old"


async def test_a_full_disk_is_said(box: Box) -> None:
    await box.run("head -c 1G /dev/zero > fill", timeout_seconds=60)

    assert await refused(box.client.write_file(box.runtime_id, "more", b"x" * 1_000_000)) == (507, "no_space")
