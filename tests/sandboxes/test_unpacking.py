"""What a failed archive leaves, and what an archive holds that cannot travel: the packer and unpacker themselves, in a folder."""

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from sandboxes.spawner.archive import Report, _pack
from sandboxes.supervisor import archives, packing
from sandboxes.supervisor.paths import FileError


def unpacking(data: bytes, folder: Path, kind: str) -> archives.Unpacking:
    made = archives.Unpacking(os.fsencode(folder), 1 << 20)
    made.run(kind, archives.Reader(iter([data])))
    return made


def tar(*names: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return out.getvalue()


@pytest.mark.parametrize("before", [(), ("new",), ("new/deep",)])
def test_a_failed_archive_takes_away_the_folders_it_made_and_no_others(tmp_path: Path, before: tuple[str, ...]) -> None:
    for name in before:
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(OSError, match="too long"):
        unpacking(tar("a/ok", "n" * 300), tmp_path / "new" / "deep", "tar")

    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == sorted(
        str(Path(name)) for name in {*before, *(["new"] if before else [])}
    )


def test_pipes_sockets_and_devices_in_a_zip_are_named_and_folders_are_folders(tmp_path: Path) -> None:
    kinds = {"fifo": stat.S_IFIFO, "sock": stat.S_IFSOCK, "char": stat.S_IFCHR, "block": stat.S_IFBLK}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, kind in {**kinds, "folder": stat.S_IFDIR, "file": stat.S_IFREG, "plain": 0}.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (kind | (0o755 if kind else 0)) << 16
            archive.writestr(info, b"")
    made = unpacking(out.getvalue(), tmp_path / "out", "zip")

    assert dict(made.left_out.fields()) == {"skipped": b"4", "skipped_names": b"\0".join(map(str.encode, kinds))}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["file", "folder", "plain"]
    assert (tmp_path / "out" / "folder").is_dir()


def a_deep_tree(top: Path, depth: int) -> None:
    """Folders within folders, with a file in the last but one of which the path is longer than the kernel takes."""
    here = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT, dir_fd=here))
    os.mkdir("empty", dir_fd=here)
    os.close(here)


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    a_deep_tree(tmp_path / "deep", 60)
    return tmp_path / "deep"


def test_all_that_a_snapshot_cannot_reach_is_counted(deep: Path) -> None:
    report = Report()
    (deep / "kept").touch()
    _pack(io.BytesIO(), 1 << 20, 1000, report)

    assert report.entries + report.skipped == 60 + len(["file", "empty", "kept"])
    assert report.entries == 21
    assert len(report.examples) == 10


def test_what_is_counted_there_has_a_limit_too(deep: Path) -> None:
    report = Report()
    _pack(io.BytesIO(), 1 << 20, 15, report)

    assert report.entries == 15
    assert report.entries + report.skipped == 2 * 15 + 1  # the rest counts as one


def test_an_archive_of_what_cannot_be_reached_is_refused_and_it_is_named(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    length = len(os.fsencode(top))
    here = os.open(top, os.O_RDONLY)
    while length < 3_900:
        os.mkdir("d" * 150, dir_fd=here)
        below = os.open("d" * 150, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here, length = below, length + 151
    os.close(os.open("lost" * 60, os.O_CREAT, dir_fd=here))
    os.close(here)

    for kind in ("tar", "zip"):
        with pytest.raises(FileError, match=r"lostlost.*too long"):
            packing.look(str(top), kind, packing.LeftOut())
