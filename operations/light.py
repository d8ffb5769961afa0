"""Start a process of the service without loading what it may never use.

`python -m operations.light MODULE ARGUMENTS...` runs a module like `python -m MODULE ARGUMENTS...`. Libraries load other
libraries when they are imported: Ray loads requests and jsonschema, structlog loads rich, aiohttp reads every certificate of
the machine. A service is a dozen processes, and each would spend half of its start on that.
"""

import contextlib
import gc
import importlib.util
import os
import runpy
import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

LATER = ("requests", "jsonschema", "yaml")
"""Ray imports them and needs them for clusters of many machines. Each is loaded by its first use."""
YOUNG_OBJECTS = 20_000
"""Python's own 700 would look through all modules again and again while they load."""


def start() -> None:
    """Call this before the imports that it makes light. What is imported already stays as it is."""
    gc.set_threshold(YOUNG_OBJECTS, 50, 1000)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for plugins reads every installed package
    for name in LATER:
        if name not in sys.modules and importlib.util.find_spec(name) is not None:
            sys.modules[name] = _Later(name)
    if not any(isinstance(finder, _Adjusting) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Adjusting())


class _Later(ModuleType):
    """Stands in `sys.modules` for a module until somebody asks it for an attribute."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = importlib.util.find_spec(name)

    def __getattr__(self, attribute: str) -> Any:
        name = self.__name__
        if sys.modules.get(name) is self:
            del sys.modules[name]
        # Another thread may do the same: the import system lets one load it and the other wait.
        return getattr(importlib.import_module(name), attribute)


class _ReadWhenUsed(ssl.SSLContext):
    """A client's context that trusts nobody until its first connection, and reads whom this machine trusts then."""

    _is_read = False

    def _read(self) -> None:
        if not self._is_read:
            self.load_default_certs(ssl.Purpose.SERVER_AUTH)
            self._is_read = True

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        """As ever."""
        self._read()
        return super().wrap_bio(*arguments, **named)

    def wrap_socket(self, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        """As ever."""
        self._read()
        return super().wrap_socket(*arguments, **named)


def _context() -> ssl.SSLContext:
    """What `ssl.create_default_context()` makes, but for the certificates."""
    context = _ReadWhenUsed(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificates and host names
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    return context


@contextlib.contextmanager
def _certificates_are_read_when_used() -> Iterator[None]:
    """The connector of aiohttp makes a context for the whole process while it is imported."""
    original = ssl.create_default_context
    ssl.create_default_context = _context  # type: ignore[assignment]
    try:
        yield
    finally:
        ssl.create_default_context = original


@contextlib.contextmanager
def _without_rich() -> Iterator[None]:
    """Tracebacks of structlog would use rich: ours are plain, since rich's show local variables."""
    known = sys.modules.get("rich")
    sys.modules["rich"] = None  # type: ignore[assignment]  # makes the import system report it as missing
    try:
        yield
    finally:
        del sys.modules["rich"]
        if known is not None:
            sys.modules["rich"] = known


ADJUSTED = {"aiohttp.connector": _certificates_are_read_when_used, "structlog": _without_rich}
"""What holds while a module is imported."""


class _Adjusting:
    """Finds the modules that are imported in another way than usual."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Part of the import system."""
        adjusted = ADJUSTED.get(name)
        found = None if adjusted is None else PathFinder.find_spec(name, path, target)
        if adjusted is not None and found is not None and found.loader is not None:
            found.loader = _Loader(found.loader, adjusted())  # type: ignore[assignment]  # importlib.abc costs 20 ms
        return found


class _Loader:
    """Imports a module as its own loader does, in a context."""

    def __init__(self, loader: Any, context: AbstractContextManager[None]) -> None:
        self._loader = loader
        self._context = context

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Part of the import system."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Part of the import system."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with self._context:
            self._loader.exec_module(module)


if __name__ == "__main__":
    start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
