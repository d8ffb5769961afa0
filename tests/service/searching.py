"""Which files hold a text: volumes are sparse files of gigabytes, of which only what was written is read."""

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

PIECE_BYTES = 1 << 20


def files_with(folders: Sequence[Path], needles: Sequence[str]) -> list[str]:
    """The files below some folders that hold one of the texts; what vanishes meanwhile holds none."""
    wanted = [needle.encode() for needle in needles]
    return [str(path) for folder in folders for path in _files(folder) if _holds(path, wanted)]


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISREG(path.lstat().st_mode):
                    yield path


def _holds(path: Path, wanted: list[bytes]) -> bool:
    overlap = max(map(len, wanted)) - 1
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        for start, end in _written(file):
            kept = b""
            at = start
            while at < end and (piece := os.pread(file, min(PIECE_BYTES, end - at), at)):
                at += len(piece)
                piece = kept + piece
                if any(needle in piece for needle in wanted):
                    return True
                kept = piece[-overlap:]
    finally:
        os.close(file)
    return False


def _written(file: int) -> Iterator[tuple[int, int]]:
    """The extents that are no holes."""
    end = 0
    while True:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
            end = os.lseek(file, start, os.SEEK_HOLE)
        except OSError:  # nothing more was written
            return
        yield start, end
