"""What each operation does. A file here is found by being here; `gate.context.action` says which operations it does."""

import pkgutil
from importlib import import_module

from gate.context import ACTIONS

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["ACTIONS"]
