"""All operations: those of every module of this package that has a `FEATURE`. Packages below it hold none."""

import pkgutil
from importlib import import_module

import operations
from operations.registry import Feature, Registry


def features() -> tuple[Feature, ...]:
    """Every feature, in the order people should read them."""
    names = (module.name for module in pkgutil.iter_modules(operations.__path__) if not module.ispkg)
    modules = [import_module(f"operations.{name}") for name in names if f"operations.{name}" != __name__]
    found = (getattr(module, "FEATURE", None) for module in modules)
    return tuple(sorted((feature for feature in found if feature is not None), key=lambda feature: feature.place))


FEATURES = features()
REGISTRY = Registry(tuple(operation for feature in FEATURES for operation in feature.operations))
