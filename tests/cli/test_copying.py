"""`satbox cp` of files and folders, both ways, against the code that packs and unpacks in a sandbox; and hostile archives."""

import asyncio
import io
import os
import socket
import stat
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from operations.left_out import left_out_headers
from sandboxes.supervisor import archives, packing
from satbox.agent.keystore import Keystore, agent_of
from satbox.cli.files import trees
from tests.cli.running import satbox
from tests.client.fake_gate import BITCOIN_KEY, STACKS_KEY, FakeGate

SMALL_FILES = 300


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    Keystore(folder).save(agent_of("default", STACKS_KEY, BITCOIN_KEY))
    return folder


class Box:
    """A folder behind the routes that `cp` uses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests = 0
        self.archive: bytes | None = None
        folder.mkdir()

    def path(self, request: web.Request) -> Path:
        self.requests += 1
        return self.folder / request.query["path"]

    async def stat(self, request: web.Request) -> web.StreamResponse:
        path = self.path(request)
        if not path.exists():
            return FakeGate.error("path_not_found")
        info = path.stat()
        kind = "directory" if path.is_dir() else "file"
        fields = {"path": request.query["path"], "name": path.name, "kind": kind, "size_bytes": info.st_size}
        return web.json_response({**fields, "mode": stat.S_IMODE(info.st_mode)})

    async def read(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=self.path(request).read_bytes())

    async def write(self, request: web.Request) -> web.StreamResponse:
        path = self.path(request)
        path.write_bytes(await request.read())
        path.chmod(int(request.query.get("mode", "644"), 8))
        return web.json_response({"ok": True, "size_bytes": path.stat().st_size})

    async def mkdir(self, request: web.Request) -> web.StreamResponse:
        (self.folder / (await request.json())["path"]).mkdir(parents=True, exist_ok=True)
        return web.json_response({"ok": True})

    async def pack(self, request: web.Request) -> web.StreamResponse:
        assert request.query["format"] == "tar"
        path, packed, left_out = self.path(request), io.BytesIO(), packing.LeftOut()
        if self.archive is None:
            packing.look(str(path), "tar", left_out)
            await asyncio.to_thread(archives.pack, os.fsencode(path), "tar", archives.Writer(packed.write))
        fields = dict(left_out.fields())
        names = [os.fsdecode(name) for name in fields["skipped_names"].split(b"\0")]
        headers = left_out_headers(left_out.count, names)
        return web.Response(body=packed.getvalue() if self.archive is None else self.archive, headers=headers)

    async def unpack(self, request: web.Request) -> web.StreamResponse:
        unpacking = archives.Unpacking(os.fsencode(self.path(request)), 1 << 30)
        reader = archives.Reader(iter([await request.content.read()]))
        await asyncio.to_thread(unpacking.run, request.query["format"], reader)
        counts = {"files": unpacking.files, "bytes": unpacking.bytes, "skipped": unpacking.left_out.count}
        return web.json_response(counts)

    @property
    def routes(self) -> Iterator[tuple[str, str, Any]]:
        yield "GET", "/sandbox/files/stat", self.stat
        yield "GET", "/sandbox/files", self.read
        yield "PUT", "/sandbox/files", self.write
        yield "POST", "/sandbox/files/mkdir", self.mkdir
        yield "GET", "/sandbox/files/archive", self.pack
        yield "PUT", "/sandbox/files/archive", self.unpack


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "box")


def described(root: Path) -> dict[str, tuple[object, ...]]:
    """What is in a folder: kinds, modes, links and content."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        info = path.lstat()
        name, mode = str(path.relative_to(root)), stat.S_IMODE(info.st_mode)
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))
        elif path.is_dir():
            found[name] = ("folder", mode)
        else:
            found[name] = ("file", mode, path.read_bytes(), info.st_nlink)
    return found


def a_tree(root: Path) -> Path:
    (root / ".satbox").mkdir(parents=True)
    (root / ".satbox" / "start").write_text("#!/bin/sh\n")
    (root / ".satbox" / "start").chmod(0o755)
    (root / "deep" / "empty").mkdir(parents=True)
    (root / "deep" / "private").mkdir(mode=0o700)
    (root / "deep" / "private" / "key").write_text("k")
    (root / "deep" / "private" / "key").chmod(0o600)
    (root / "deep" / "up").symlink_to("../.satbox/start")
    (root / "here").symlink_to("deep")
    (root / "dangling").symlink_to("nothing")
    os.link(root / "deep" / "private" / "key", root / "same")
    (root / "ä\n name").write_bytes(b"\0\xff")
    return root


async def test_a_folder_keeps_modes_and_links_both_ways(home: Path, box: Box, tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    async with FakeGate(wall_seconds=time.time).running(*box.routes) as gate:
        up = await satbox("cp", str(tree), "box:x", home=home, gate=gate.url)
        down = await satbox("cp", "box:x", str(tmp_path / "back"), home=home, gate=gate.url)

    assert (up.code, down.code) == (0, 0), (up.stderr, down.stderr)
    assert up.document["skipped"] == down.document["skipped"] == []
    assert up.document["files"] == down.document["files"] == 7
    assert described(box.folder / "x") == described(tree)
    assert described(tmp_path / "back") == described(tree)


async def test_a_file_keeps_its_mode_both_ways(home: Path, box: Box, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    async with FakeGate(wall_seconds=time.time).running(*box.routes) as gate:
        up = await satbox("cp", str(tool), "box:tool", home=home, gate=gate.url)
        (box.folder / "secret").write_text("x")
        (box.folder / "secret").chmod(0o600)
        down = await satbox("cp", "box:tool", str(tmp_path / "tool2"), home=home, gate=gate.url)
        await satbox("cp", "box:secret", str(tmp_path / "secret"), home=home, gate=gate.url)

    assert (up.code, down.code) == (0, 0)
    assert stat.S_IMODE((box.folder / "tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "tool2").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


async def test_many_small_files_go_in_few_requests(home: Path, box: Box, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(SMALL_FILES):
        (tree / f"f{number}").write_text(str(number))
    async with FakeGate(wall_seconds=time.time).running(*box.routes) as gate:
        up = await satbox("cp", str(tree), "box:x", home=home, gate=gate.url)
        down = await satbox("cp", "box:x", str(tmp_path / "back"), home=home, gate=gate.url)

    assert (up.document["files"], down.document["files"]) == (SMALL_FILES, SMALL_FILES)
    assert box.requests < 10
    assert (tmp_path / "back" / "f299").read_text() == "299"


async def test_a_folder_goes_in_portions_and_large_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "PORTION_BYTES", 1000)
    monkeypatch.setattr(trees, "PORTION_ENTRIES", 3)
    tree, seen = tmp_path / "tree", Seen()
    tree.mkdir()
    for number in range(10):
        (tree / f"f{number}").write_bytes(b"x" * 600)
    (tree / "large").write_bytes(b"x" * 1001)
    portions, names = trees.Portions(tree, seen), []
    while not portions.is_done:
        with io.BytesIO() as file:
            portions.write(file)
            with tarfile.open(fileobj=io.BytesIO(file.getvalue())) as archive:
                names.append(archive.getnames())

    assert [len(part) for part in names[:5]] == [2, 2, 2, 2, 2]
    assert sorted(name for part in names for name in part) == [f"f{number}" for number in range(10)]
    assert [path.name for path, _mode in portions.large] == ["large"]


class Seen:
    """What was copied and what was not."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.skipped: list[str] = []

    def add(self, name: str, size_bytes: int | None) -> None:
        self.files.append(name)

    def skip(self, name: str, reason: str) -> None:
        self.skipped.append(name)


def member(
    name: str, kind: bytes = tarfile.REGTYPE, to: str = "", data: bytes = b"evil", mode: int = 0o644
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, to, mode
    info.size = len(data) if kind == tarfile.REGTYPE else 0
    return info


def tar(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info in members:
            archive.addfile(info, io.BytesIO(b"evil"[: info.size].ljust(info.size)))
    return buffer.getvalue()


LINK, HARD, FOLDER = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
HOSTILE = {
    "up": [member("../evil"), member("a/../../evil")],
    "absolute": [member("/tmp/satbox-evil")],
    "link out, absolute": [member("l", LINK, "/etc"), member("l/evil")],
    "link out, relative": [member("a/l", LINK, "../../outside"), member("a/l/evil")],
    "link by a link": [member("a/b/d", LINK, "../.."), member("a/b/e", LINK, "d/../outside"), member("a/b/e/evil")],
    "link to the top's own name": [member("l", LINK, "../target/../outside/kept")],
    "link through a link that was here": [member("l", LINK, "mine/kept")],
    "link over a folder": [member("a/x"), member("a", LINK, "b")],
    "hard link out": [member("h", HARD, "/etc/hostname"), member("h2", HARD, "../outside/kept")],
    "hard link to what was here": [member("h", HARD, "own"), member("h")],
    "hard link through a link that was here": [member("h", HARD, "mine/kept"), member("h")],
    "through a link that was here": [member("mine/kept"), member("mine/evil")],
    "over a link that was here": [member("file")],
    "devices": [member("p", tarfile.FIFOTYPE), member("c", tarfile.CHRTYPE), member("b", tarfile.BLKTYPE)],
    "set-id": [member("s", mode=0o6777)],
    "the top itself": [member(".", LINK, "/tmp"), member("", HARD, "x"), member("./", FOLDER, mode=0o000)],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_nothing_leads_out_of_the_target(tmp_path: Path, case: str) -> None:
    outside, target, seen = tmp_path / "outside", tmp_path / "target", Seen()
    outside.mkdir()
    target.mkdir()
    (outside / "kept").write_text("kept")
    (target / "own").write_text("own")
    (target / "mine").symlink_to(outside)
    (target / "file").symlink_to(outside / "kept")
    trees.Unpacking(target, seen).run(io.BytesIO(tar(*HOSTILE[case], member("good"))).read)

    assert described(outside) == {"kept": ("file", 0o644, b"kept", 1)}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "target"]
    assert not Path("/tmp/satbox-evil").exists()
    assert (target / "own").read_text() == "own"
    for path in target.rglob("*"):
        if path.name != "mine" and (path.name != "file" or case == "over a link that was here"):
            assert path.resolve().is_relative_to(target), (path, os.readlink(path))
            assert not path.lstat().st_mode & 0o6000
            assert path.is_symlink() or path.is_dir() or path.is_file()
    assert (target / "good").read_bytes() == b"evil"
    assert stat.S_IMODE(target.stat().st_mode) & 0o700 == 0o700
    assert seen.skipped or case in ("over a link that was here", "set-id", "the top itself")


def test_a_header_without_end_and_bytes_that_are_no_archive_are_refused(tmp_path: Path) -> None:
    header = member("x", tarfile.XHDTYPE)
    header.size = 2 << 20
    for data, words in (
        (header.tobuf(tarfile.USTAR_FORMAT) + bytes(10_240), "too large"),
        (b"no archive" * 2000, "not an"),
    ):
        with pytest.raises(trees.SatboxError) as refused:
            trees.Unpacking(tmp_path / "target", Seen()).run(io.BytesIO(data).read)
        assert refused.value.code == "archive_invalid"
        assert words in refused.value.message
    assert list((tmp_path / "target").iterdir()) == []


async def test_what_a_sandbox_sends_is_named_when_it_is_not_taken(home: Path, box: Box, tmp_path: Path) -> None:
    (box.folder / "d").mkdir()
    box.archive = tar(member("../evil"), member("/etc/x"), member("l", LINK, "/etc"), member("ok"))
    target = tmp_path / "out"
    async with FakeGate(wall_seconds=time.time).running(*box.routes) as gate:
        ended = await satbox("cp", "box:d", str(target), home=home, gate=gate.url)

    assert (ended.code, ended.document["files"]) == (123, 1), ended.stderr
    assert [skipped["path"] for skipped in ended.document["skipped"]] == ["d/../evil", "d//etc/x", "d/l"]
    assert "3 left out: d/../evil, d//etc/x, d/l" in ended.stderr
    assert all(skipped["reason"] for skipped in ended.document["skipped"])
    assert [path.name for path in target.rglob("*")] == ["ok"]


async def test_pipes_and_sockets_in_a_sandbox_are_named_on_the_way_out(home: Path, box: Box, tmp_path: Path) -> None:
    (box.folder / "d" / "e").mkdir(parents=True)
    (box.folder / "d" / "file").write_text("x")
    os.mkfifo(box.folder / "d" / "e" / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(box.folder / "d" / "sock"))
    async with FakeGate(wall_seconds=time.time).running(*box.routes) as gate:
        copied = await satbox("cp", "box:d", str(tmp_path / "out"), home=home, gate=gate.url)
        target = str(tmp_path / "d.tar")
        packed = await satbox("files", "pack", "d", "--format", "tar", "--output", target, home=home, gate=gate.url)
        piped = await satbox("files", "pack", "d", "--format", "tar", home=home, gate=gate.url)

    assert (copied.code, copied.document["files"]) == (123, 1), copied.stderr
    assert (packed.code, piped.code) == (123, 123)
    assert [skipped["path"] for skipped in copied.document["skipped"]] == ["d/sock", "d/e/pipe"]
    assert (packed.document["skipped"], packed.document["skipped_names"]) == (2, ["sock", "e/pipe"])
    assert "sock, e/pipe" in piped.stderr


async def test_holes_stay_holes_both_ways(home: Path, box: Box, tmp_path: Path) -> None:
    """10 GiB with 4 KiB of content, alone and in a folder: neither refused nor sent as zeros."""
    (tmp_path / "tree").mkdir()
    for name in ("alone", "tree/disk"):
        with (tmp_path / name).open("wb") as file:
            file.write(b"x" * 4096)
            file.truncate(10 << 30)
    async with FakeGate(wall_seconds=time.time).running(*box.routes) as gate:
        for path, target in (("alone", "box:x"), ("tree", "box:t")):
            up = await satbox("cp", str(tmp_path / path), target, home=home, gate=gate.url)
            down = await satbox("cp", target, str(tmp_path / f"back-{path}"), home=home, gate=gate.url)
            assert (up.code, down.code) == (0, 0), (up.stderr, down.stderr)
            assert up.document["size_bytes"] == down.document["size_bytes"] == 4096
    for back in (box.folder / "x", box.folder / "t" / "disk", tmp_path / "back-alone", tmp_path / "back-tree" / "disk"):
        info = back.stat()
        assert (info.st_size, info.st_blocks * 512) == (10 << 30, 4096)
        with back.open("rb") as file:
            assert file.read(8192) == b"x" * 4096 + bytes(4096)
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".satbox-")]


def test_a_map_without_end_takes_no_memory_here(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "4096"}
    for begins, words in (
        (b"999999999\n", "too large"),
        (b"no number\n", "not an archive"),
        (b"1\n0\n9999\n", "outside"),
    ):
        content = io.BytesIO(begins.ljust(1024, b"0" if words == "too large" else b"\0"))
        info.size = 1024
        with io.BytesIO() as buffer:
            with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
                archive.addfile(info, content)
            data = buffer.getvalue()
        with pytest.raises(trees.SatboxError, match=words) as refused:
            trees.Unpacking(tmp_path / "target", Seen()).run(io.BytesIO(data).read)
        assert refused.value.code == "archive_invalid"
    assert list((tmp_path / "target").iterdir()) == []


async def test_what_leads_out_of_a_folder_here_is_named(home: Path, box: Box, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("x")
    (tree / "link").symlink_to("/etc/passwd")
    os.mkfifo(tree / "pipe")
    async with FakeGate(wall_seconds=time.time).running(*box.routes) as gate:
        ended = await satbox("cp", str(tree), "box:x", home=home, gate=gate.url)

    assert (ended.code, ended.document["files"]) == (123, 1), ended.stderr
    assert [skipped["path"] for skipped in ended.document["skipped"]] == [str(tree / "link"), str(tree / "pipe")]
    assert "symbolic link" in ended.document["skipped"][0]["reason"]


async def test_what_is_copied_has_one_name_both_ways_and_links_have_no_size(
    home: Path, box: Box, tmp_path: Path
) -> None:
    """Copied things by the path that they have now, others by the one that they had; all as `files list` shows them."""
    tree, back = tmp_path / "tree", tmp_path / "back"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "odd\udcff").write_text("x")
    os.link(tree / "sub" / "odd\udcff", tree / "sub" / "same")
    (tree / "to").symlink_to("sub")
    os.mkfifo(tree / "sub" / "pipe\udcff")
    async with FakeGate(wall_seconds=time.time).running(*box.routes) as gate:
        up = await satbox("cp", "--table", str(tree), "box:x", home=home, gate=gate.url)
        os.mkfifo(box.folder / "x" / "pipe")
        (box.folder / "x" / "out").symlink_to("/etc")
        down = await satbox("cp", "--table", "box:x", str(back), home=home, gate=gate.url)

    for ended, target in ((up, "x"), (down, str(back))):
        assert f"{target}/sub/odd\uefff (1 bytes)" in ended.stderr
        assert f"{target}/sub/same (a link)" in ended.stderr
        assert f"{target}/to (a link)" in ended.stderr
        assert ended.code == 123
    assert f"{tree}/sub/pipe\uefff skipped" in up.stderr
    assert "\nx/pipe skipped" in f"\n{down.stderr}"
    assert "\nx/out skipped" in f"\n{down.stderr}"
    assert described(back / "sub") == described(box.folder / "x" / "sub")
