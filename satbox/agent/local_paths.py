"""What the operating system says about a path of this machine, as an error with a code (the same as for paths of a sandbox)."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from operations.errors import SatboxError

_CODES = {
    errno.ENOENT: "path_not_found",
    errno.EACCES: "path_forbidden",
    errno.EPERM: "path_forbidden",
    errno.EROFS: "path_forbidden",
    errno.EEXIST: "path_exists",
    errno.ENOTEMPTY: "path_exists",
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
}
_HINTS = {
    "path_not_found": "Check the path; its folder must exist.",
    "path_forbidden": "Use a path that you may read or write.",
    "path_exists": "Move it away, or name another path.",
    "disk_full": "Make room on this machine's disk.",
    "path_invalid": "Check the path.",
}


def local_error(error: OSError, path: Path | str | None = None, hint: str | None = None) -> SatboxError:
    """The error for a failed access to a local path: path_not_found, path_forbidden, path_exists, disk_full or path_invalid."""
    code = _CODES.get(error.errno or 0, "path_invalid")
    named = path if path is not None else error.filename
    where = "" if named is None else f": {named} on this machine"
    return SatboxError(code, f"{error.strerror or error}{where}.", hint=hint or _HINTS[code])


@contextlib.contextmanager
def local_path(path: Path | str, hint: str | None = None) -> Iterator[None]:
    """Whatever touches this path inside raises SatboxError instead of OSError."""
    try:
        yield
    except OSError as error:
        raise local_error(error, path, hint) from error
