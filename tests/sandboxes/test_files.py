"""Files in and out of a real sandbox, and the ways out that are closed."""

import hashlib
from collections.abc import AsyncIterator

import pytest

from sandboxes.protocol import SandboxError
from tests.sandboxes.conftest import Box

pytestmark = [pytest.mark.sandbox, pytest.mark.shared_node]


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


ROOTS = (".", "./", "/workspace", "/workspace/", "..", "/", "//", "/tmp", "/tmp/", "/dev", "/dev/shm", "/run", "sub/..",
         "sub/deep/../..", "sub/.", "up", "up/", "up/workspace", "in_tmp/../../workspace", "../workspace/.", "scratch/",
         "/proc/self/root/workspace", "/proc/self/cwd/.")  # fmt: skip


@pytest.mark.parametrize("recursive", [True, False])
async def test_a_root_is_refused_before_anything_is_touched(box: Box, recursive: bool) -> None:
    await box.run(
        "mkdir -p sub/deep .satbox; echo 1 | tee kept .kept sub/deep/kept .satbox/start /tmp/kept /run/kept /dev/shm/kept;"
        "ln -s / up; ln -s /tmp scratch; ln -s /tmp/x in_tmp; ln -s /workspace home; mkdir /tmp/x"
    )
    look = "find /workspace /tmp /run /dev/shm | sort"
    before = (await box.run(look))["stdout"]

    answers = {}
    for path in ROOTS:
        if path == "up":
            continue  # the link itself can go: see below
        answers[path] = await refused(box.client.delete_file(box.runtime_id, path, recursive=recursive))
        assert (await box.run(look))["stdout"] == before, path

    assert set(answers.values()) <= {(403, "permission_denied"), (400, "bad_path"), (409, "not_directory")}
    assert {
        answers[path] for path in (".", "..", "/workspace/", "/", "/tmp", "/dev", "/run", "sub/..", "up/workspace")
    } == {(403, "permission_denied")}
    await box.client.delete_file(box.runtime_id, "up", recursive=recursive)
    await box.client.delete_file(box.runtime_id, "home", recursive=recursive)
    assert (await box.run("cat kept && ! test -e up && ! test -e home"))["stdout"] == "1\n"


@pytest.mark.parametrize("overwrite", [True, False])
async def test_a_root_is_neither_moved_nor_replaced(box: Box, overwrite: bool) -> None:
    await box.run("mkdir sub; echo 1 > kept; echo 1 > /tmp/kept; ln -s /tmp scratch")
    look = "find /workspace /tmp | sort"
    before = (await box.run(look))["stdout"]

    for source, target in ((".", "/tmp/w"), ("/workspace", "sub/w"), ("/tmp", "t"), ("sub", "/tmp"), ("sub", "."),
                           ("kept", "/workspace"), ("sub/..", "x"), ("sub", "sub/.."), ("scratch/", "x"), ("kept", "/"),
                           ("sub", "scratch/"), ("/", "x"), ("sub", "sub/inner")):  # fmt: skip
        moving = box.client.move_file(box.runtime_id, source, target, overwrite=overwrite)
        assert (await refused(moving))[0] in (400, 403, 409), (source, target)
        assert (await box.run(look))["stdout"] == before, (source, target)


async def test_a_folder_that_cannot_go_as_a_whole_is_left_as_a_whole(box: Box) -> None:
    await box.run(
        "mkdir -p a/locked b/c/d; echo 1 | tee a/one a/locked/two b/c/three; chmod 555 a/locked; ln -s ../a b/c/l"
    )

    locked = await refused(box.client.delete_file(box.runtime_id, "a", recursive=True))
    left = await box.run("cat a/one a/locked/two")
    await box.client.delete_file(box.runtime_id, "b/", recursive=True)

    assert locked == (403, "permission_denied")
    assert left["stdout"] == "1\n1\n"
    assert (await box.run("ls; cat a/one"))["stdout"] == "a\n1\n"


async def test_an_overwrite_keeps_the_mode_and_makes_what_is_missing_above(box: Box) -> None:
    client, rid = box.client, box.runtime_id
    await box.run(
        "printf '#!/bin/sh\\necho old' > tool; chmod 755 tool; echo x > secret; chmod 600 secret; ln -s tool alias"
    )

    await client.write_file(rid, "tool", b"#!/bin/sh\necho new\n")
    ran = await box.run("./tool && ./alias")
    await client.write_file(rid, "alias", b"#!/bin/sh\necho newer\n")
    await client.write_file(rid, "secret", b"y")
    await client.write_file(rid, "a/b/c", b"z")
    await client.write_file(rid, "a/b/run", b"#!/bin/sh\n", mode=0o4755)
    await client.write_file(rid, "secret2", b"y", mode=0o600)
    modes = await box.run("stat -c %a tool secret a/b/c a/b/run a a/b; ./tool; readlink alias")

    assert ran["stdout"] == "new\nnew\n"
    assert modes["stdout"] == "755\n600\n644\n755\n755\n755\nnewer\ntool\n"


async def test_an_upload_that_fails_leaves_none_of_its_folders(box: Box) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        raise RuntimeError("the uploader's trouble")

    with pytest.raises((RuntimeError, SandboxError)):
        await box.client.write_file(box.runtime_id, "a/b/file", broken())
    assert await refused(box.client.write_file(box.runtime_id, "/usr/x/y", b"")) == (403, "permission_denied")

    assert (await box.run("for i in $(seq 50); do test -e a || break; sleep 0.1; done; ls -A"))["stdout"] == ""


async def test_a_move_crosses_file_systems_and_overwrites_only_when_asked(box: Box) -> None:
    client, rid = box.client, box.runtime_id
    await box.run(
        "mkdir -p d/e empty full; echo 1 | tee d/one d/e/two full/x one two; chmod 750 d d/one; ln -s one d/link; ln one same;"
        "mkfifo pipe; mkdir special; mkfifo special/pipe"
    )

    await client.move_file(rid, "d", "/tmp/d")
    there = await box.run("ls d; cd /tmp/d && stat -c '%a %n' . one e/two && readlink link && ls -A /tmp /workspace")
    await client.move_file(rid, "/tmp/d/one", "back")
    taken = await refused(client.move_file(rid, "/tmp/d/e/two", "one"))
    await client.move_file(rid, "/tmp/d/e/two", "one", overwrite=True)
    not_empty = await refused(client.move_file(rid, "/tmp/d", "full", overwrite=True))
    await client.move_file(rid, "/tmp/d", "empty", overwrite=True)
    await client.move_file(rid, "one", "same", overwrite=True)
    special = [await refused(client.move_file(rid, path, f"/tmp/{path}")) for path in ("pipe", "special")]
    left = await box.run("ls -A . empty full special /tmp | sort -u; stat -c %a back; cat same")

    assert there["stdout"].split("\n")[:3] == ["750 .", "750 one", "644 e/two"]
    assert ".satbox" not in there["stdout"]
    assert (taken, not_empty, special) == ((409, "already_exists"), (409, "not_empty"), [(409, "not_regular")] * 2)
    assert {"back", "empty", "full", "pipe", "special", "same", "two", "link", "e", "x"} <= set(left["stdout"].split())
    assert left["stdout"].endswith("750\n1\n")


async def test_each_refusal_names_what_it_is_about(box: Box) -> None:
    """Of a request on files the path as it was given, or the one in the folder that is at fault; of others the id."""
    client, rid = box.client, box.runtime_id
    await box.run("touch here; mkfifo pipe; mkdir -p locked/in; touch locked/in/file; chmod 500 locked/in")
    await box.run("touch $(printf 'caf\\351')")
    long = "d/" * 400 + "nothing"
    calls = {
        "nothing/here": client.read_file(rid, "nothing/here"),
        "pipe": client.read_file(rid, "pipe"),
        "here/below": client.write_file(rid, "here/below", b"1"),
        "gone": client.stat_file(rid, "gone"),
        "gone/list": client.list_files(rid, "gone/list"),
        "here/folder": client.make_folder(rid, "here/folder"),
        "lost to here": client.move_file(rid, "lost", "here"),
        "here to pipe": client.move_file(rid, "here", "pipe"),
        "absent": client.delete_file(rid, "absent"),
        "/workspace/locked/in": client.delete_file(rid, "locked", recursive=True),
        "/tmp": client.delete_file(rid, "/tmp", recursive=True),
        "nowhere": anext(client.watch_files(rid, "nowhere")),
        "no/archive": anext(client.pack_folder(rid, "no/archive")),
        "here": client.unpack_folder(rid, "here", b"no archive"),
        "caf\uefe9/x": client.stat_file(rid, "caf\uefe9/x"),
        long[-300:]: client.stat_file(rid, long),
        "p_00": client.processes.get(rid, "p_00"),
        "c_00": client.contexts.delete(rid, "c_00"),
    }
    for name, asked in calls.items():
        with pytest.raises(SandboxError) as refused:
            await asked  # type: ignore[misc]
        assert name in refused.value.message, refused.value.message
        assert len(refused.value.message) < 600
