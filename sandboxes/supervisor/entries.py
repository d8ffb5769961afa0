"""Deleting and moving, inside a file worker (`files`), as the tenant. What is refused is refused before anything is touched."""

from __future__ import annotations

import errno
import os
import stat

from .paths import FileError, entry_of


def delete(path: bytes, recursive: bool) -> None:
    """Delete a file, a link or a folder; one with something in it only if `recursive`. Raises FileError, OSError."""
    entry = entry_of(path)
    if not stat.S_ISDIR(os.lstat(entry).st_mode):
        os.unlink(entry)
    elif recursive:
        _empty(_folders(entry))
    else:
        os.rmdir(entry)


def _folders(top: bytes) -> list[bytes]:
    """A folder and all below it, each before those in it. Raises OSError if one of them could not be emptied."""
    found = [top]
    for folder in found:  # grows on the way
        has_entries = False
        with os.scandir(folder) as entries:
            for entry in entries:
                has_entries = True
                if entry.is_dir(follow_symlinks=False):
                    found.append(entry.path)
        if has_entries and not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"nothing can be deleted in {os.fsdecode(folder)[-200:]!r}")
    if not os.access(os.path.dirname(top), os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "nothing can be deleted in the folder above")
    return found


def _empty(folders: list[bytes]) -> None:
    for folder in reversed(folders):
        with os.scandir(folder) as entries:
            names = [entry.path for entry in entries if not entry.is_dir(follow_symlinks=False)]
        for name in names:
            os.unlink(name)
        os.rmdir(folder)


def missing_folders(path: bytes) -> list[bytes]:
    """The folders above a path that are not there yet, in the order in which they can be made."""
    missing: list[bytes] = []
    folder = os.path.dirname(path)
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    return missing[::-1]


def move(path: bytes, to: bytes, overwrite: bool) -> None:
    """Move or rename, also to another file system. What is there already stays, unless `overwrite`; then a file is replaced,
    and a folder only if it is empty. Raises FileError, OSError.
    """
    source, target = entry_of(path), entry_of(to)
    seen = os.lstat(source)
    if os.path.lexists(target):
        if not overwrite or source == target:
            raise FileError(b"already_exists", "the target exists")
        if os.path.samestat(seen, os.lstat(target)):
            os.unlink(source)  # two names of one file: a rename would do nothing
            return
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _move_across(source, target, stat.S_ISDIR(seen.st_mode))


def _move_across(source: bytes, target: bytes, is_folder: bool) -> None:
    """Copy beside the target, rename, then delete the source: whenever it ends early, one of the two is whole."""
    import shutil

    folders = _folders(source) if is_folder else []
    temporary = os.path.join(os.path.dirname(target), b".satbox-move-%d" % os.getpid())
    copied = [temporary + folder[len(source) :] for folder in folders]
    try:
        if not is_folder:
            _copy(source, temporary)
        for folder, copy in zip(folders, copied, strict=True):
            os.mkdir(copy, 0o700)
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        _copy(entry.path, os.path.join(copy, entry.name))
        for folder, copy in zip(reversed(folders), reversed(copied), strict=True):
            shutil.copystat(folder, copy)
        os.rename(temporary, target)
    except BaseException:
        if is_folder:
            shutil.rmtree(temporary, ignore_errors=True)
        elif os.path.lexists(temporary):
            os.unlink(temporary)
        raise
    if is_folder:
        _empty(folders)
    else:
        os.unlink(source)


def _copy(source: bytes, target: bytes) -> None:
    """A file or a link, with mode and times. Raises FileError for what is neither."""
    import shutil

    kind = os.lstat(source).st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISLNK(kind):
        raise FileError(b"not_regular", "a socket, pipe or device cannot go to another file system")
    shutil.copy2(source, target, follow_symlinks=False)
