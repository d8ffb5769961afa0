"""What the documents name is there: each file in backticks, and each function of a file (`path.py::name`).

A path is written from the root of the repository. One that lies beside the document, or beside another that the same paragraph
names, may be short.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.structure.imports import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "design").glob("*.md"))]
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
SUFFIXES = (".py", ".md", ".js")
FENCED = re.compile(r"^(```.*?^```|    .*?)$", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"`([\w.*/-]+)(?:::(\w+(?:\.\w+)*))?`")


def named(text: str) -> Iterator[tuple[str, str, str]]:
    """Paths in backticks, the names in them, and the paragraph around each."""
    for paragraph in re.split(r"\n\s*\n", FENCED.sub("", text)):
        for path, name in NAMED.findall(paragraph):
            if path.startswith((".", "/")):
                continue
            if path.endswith(SUFFIXES) or ("/" in path and path.split("/")[0] in FOLDERS):
                yield path, name, paragraph


def found(path: str, paragraph: str, folder: Path, root: Path = ROOT) -> Path | None:
    """The file or folder, or the first that a pattern matches."""
    full = [root / other for other, _ in NAMED.findall(paragraph) if "/" in other]
    beside = [other if other.is_dir() else other.parent for other in full if other.exists()]
    for start in (root, folder, *beside):
        match = next(iter(start.glob(path.rstrip("/"))), None) if start.is_dir() else None
        if match is not None:
            return match
    return None


def defines(tree: ast.Module, name: str) -> bool:
    """Whether a module defines a function, a class, a constant, or `Class.member`."""
    body: list[ast.stmt] = tree.body
    for part in name.split("."):
        made = next((node for node in body if part in _names(node)), None)
        if made is None:
            return False
        body = made.body if isinstance(made, ast.ClassDef) else []
    return True


def _names(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []


def problems(text: str, folder: Path, root: Path = ROOT) -> list[str]:
    """What a document names and nobody finds."""
    wrong = []
    for path, name, paragraph in named(text):
        file = found(path, paragraph, folder, root)
        if file is None:
            wrong.append(path)
        elif name and not defines(ast.parse(file.read_text()), name):
            wrong.append(f"{path}::{name}")
    return wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(document: Path) -> None:
    assert problems(document.read_text(), document.parent) == []


def test_what_is_gone_is_seen(tmp_path: Path) -> None:
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "till.py").write_text("class Till:\n    SHARE: int = 20\n\n    async def pay(self): ...\n")
    text = """`gate/till.py::Till.pay`, `gate/till.py::Till.SHARE`, `till.py` and `gate/`.

`till.py`, `gate/desk.py`, `README.md`

`gate/till.py::pay`, `gate/till.py::Till.hold`
"""
    (tmp_path / "README.md").touch()
    gone = ["till.py", "gate/desk.py", "gate/till.py::pay", "gate/till.py::Till.hold"]
    assert problems(text, tmp_path, tmp_path) == gone
