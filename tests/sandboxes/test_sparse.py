"""Files with holes in archives: what is stored travels, byte for byte, and no map leads outside of its file."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.supervisor import archives, packing, sparse

GIB = 1 << 30
HOLES = st.lists(st.tuples(st.integers(0, 64), st.integers(1, 9000)), max_size=8)


def written(path: Path, parts: list[tuple[int, int]], end: int) -> Path:
    with path.open("wb") as file:
        for block, size in parts:
            file.seek(block * 8192)
            file.write(bytes([1 + block]) * size)
        file.truncate(max(end, file.seek(0, os.SEEK_END)))
    return path


def packed(folder: Path, kind: str = "tar") -> bytes:
    out = io.BytesIO()
    packing.pack(os.fsencode(folder), kind, packing.Writer(lambda data: out.write(data) and None))
    return out.getvalue()


def unpacked(data: bytes, folder: Path, bytes_max: int = 1 << 20) -> archives.Unpacking:
    unpacking = archives.Unpacking(os.fsencode(folder), bytes_max)
    unpacking.run("tar", archives.Reader(iter([data])))
    return unpacking


def stored_bytes(path: Path) -> int:
    return path.stat().st_blocks * 512


@given(HOLES, st.integers(0, 1 << 20))
def test_a_file_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[int, int]], end: int
) -> None:
    folder = tmp_path_factory.mktemp("sparse")
    (folder / "in").mkdir()
    source = written(folder / "in" / "caf\udce9", parts, end)
    unpacked(packed(folder / "in"), folder / "out")
    target = folder / "out" / source.name
    assert target.read_bytes() == source.read_bytes()
    assert stored_bytes(target) <= stored_bytes(source)


def test_ten_gib_with_four_kib_of_content_take_what_is_stored(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    written(tmp_path / "in" / "disk", [(0, 4096)], 10 * GIB)
    written(tmp_path / "in" / "empty", [], 10 * GIB)
    data = packed(tmp_path / "in")
    assert len(data) < 64 << 10
    unpacking = unpacked(data, tmp_path / "out")
    for name, stored in (("disk", 4096), ("empty", 0)):
        assert (tmp_path / "out" / name).stat().st_size == 10 * GIB
        assert stored_bytes(tmp_path / "out" / name) == stored
    assert unpacking.bytes == 4096
    (tmp_path / "out.tar").write_bytes(data)
    (tmp_path / "gnu").mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "out.tar", "-C", tmp_path / "gnu"], check=True)
    assert (tmp_path / "gnu" / "disk").stat().st_size == 10 * GIB
    with (tmp_path / "gnu" / "disk").open("rb") as file:
        assert file.read(8192) == b"\1" * 4096 + bytes(4096)


def test_a_zip_names_the_file_whose_holes_it_would_have_to_fill(tmp_path: Path) -> None:
    written(tmp_path / "disk", [(0, 4096)], 10 * GIB)
    (tmp_path / "small").write_text("x")
    left_out = packing.LeftOut()
    packing.look(str(tmp_path), "zip", left_out)
    assert dict(left_out.fields()) == {"skipped": b"1", "skipped_names": b"disk"}
    assert len(packed(tmp_path, "zip")) < 1000


@pytest.mark.parametrize(
    "numbers", [[1, 0, 5000, 4096], [1, -1, 8], [1, 4096, 1], [2, 8, 8, 0, 8], [1 << 40], [1, 0], ["x"]]
)
def test_a_map_that_no_file_can_have_is_refused(tmp_path: Path, numbers: list[object]) -> None:
    content = "".join(f"{number}\n" for number in numbers).encode().ljust(512, b"\0") + bytes(512)
    member = tarfile.TarInfo("x")
    member.size = len(content)
    member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "4096"}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member, io.BytesIO(content))
    with pytest.raises(archives.BadArchiveError):
        unpacked(out.getvalue(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_many_pieces_are_joined_over_the_smallest_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "PIECES_MAX", 3)
    found = [(0, 4096), (8192, 4096), (16384, 4096), (1 << 20, 4096), (1 << 30, 4096)]
    assert sparse._joined(found) == [(0, 20480), (1 << 20, 4096), (1 << 30, 4096)]
