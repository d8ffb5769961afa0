"""Who imports whom in this project, read from the source: also in functions, and also for types alone."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "actors", "devnet", "gate", "images", "operations", "oracle", "relay_client", "sandboxes", "satbox", "simulator",
    "stacks",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a module imports: a module of ours where there is one by that name, else what was written."""

    target: str
    is_for_types: bool
    """Under `if TYPE_CHECKING`: never run."""
    is_late: bool
    """In a function: run when that is called."""


@cache
def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports_of(module: str) -> tuple[Import, ...]:
    """All that a module imports, in the order of its source."""
    path = modules()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return tuple(_imports(ast.parse(path.read_text()), package, for_types=False, late=False))


def _imports(node: ast.AST, package: str, *, for_types: bool, late: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        for name in _targets(node, package):
            yield Import(name, for_types, late)
        return
    late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    guarded = node.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) else []
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, package, for_types=for_types or child in guarded, late=late)


def _targets(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (name.name for name in node.names)
        return
    base = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*above, base] if base else above)
    for name in node.names:
        whole = f"{base}.{name.name}"
        yield whole if whole in modules() else base


def with_packages(module: str) -> Iterator[str]:
    """A module of ours and the packages around it, which are imported first."""
    parts = module.split(".")
    yield from (name for end in range(1, len(parts) + 1) if (name := ".".join(parts[:end])) in modules())


def closure(roots: Iterable[str]) -> tuple[set[str], dict[str, str]]:
    """All modules of ours that these may ever import, and by which module each foreign package is imported."""
    ours: set[str] = set()
    foreign: dict[str, str] = {}
    waiting = [each for root in roots for each in with_packages(root)]
    while waiting:
        module = waiting.pop()
        if module in ours:
            continue
        ours.add(module)
        for found in imports_of(module):
            if found.is_for_types:
                continue
            own = list(with_packages(found.target))
            waiting += own
            if not own:
                foreign.setdefault(found.target.partition(".")[0], module)
    return ours, foreign


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of nodes that reach one another (Tarjan), each sorted."""
    place: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        place[node] = lowest[node] = len(place)
        stack.append(node)
        for other in graph[node]:
            if other not in place:
                visit(other)
            if other in stack:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == place[node]:
            at = stack.index(node)
            group = sorted(stack[at:])
            del stack[at:]
            if len(group) > 1 or node in graph[node]:
                found.append(group)

    for node in graph:
        if node not in place:
            visit(node)
    return found
