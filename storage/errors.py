"""What can go wrong with a store, by names that say nothing of the engine under it. The engine's own error is the cause."""


class StorageError(Exception):
    """A store did not do what it was asked. Whether a write was kept that fails at its commit, nobody knows."""


class ConflictError(StorageError):
    """A rule of the tables forbids it: a key that is taken, a row that must stay."""


class UnavailableError(StorageError):
    """Not now: busy, full, read-only, or an input or output that failed. Nothing is said of what is stored."""


def is_damage(error: BaseException) -> bool:
    """Whether what is stored is no good, rather than the disk busy or full."""
    return isinstance(error, StorageError) and not isinstance(error, UnavailableError)
