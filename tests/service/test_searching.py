"""The search that other tests rely on finds what is there."""

import os
from pathlib import Path

from tests.service.searching import PIECE_BYTES, files_with

SECRET = "a-secret"


def test_a_text_is_found_wherever_it_was_written(tmp_path: Path) -> None:
    far = tmp_path / "volume"
    with far.open("wb") as file:
        os.truncate(file.fileno(), 1 << 34)
        os.pwrite(file.fileno(), SECRET.encode(), (1 << 33) - 3)
    over = tmp_path / "folder" / "over two pieces"
    over.parent.mkdir()
    over.write_bytes(b"." * (PIECE_BYTES - 3) + SECRET.encode() + b".")
    (tmp_path / "other").write_text("a-secre t")
    (tmp_path / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")

    assert files_with((tmp_path,), ("absent", SECRET)) == [str(far), str(over)]
    assert files_with((over,), (SECRET,)) == [str(over)]
