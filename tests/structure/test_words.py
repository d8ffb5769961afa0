"""Words that make a sentence hard to read are counted in comments, docstrings and documents. A count may only fall: when it has
fallen, lower its number here. What to write instead: `design/words.md`.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = (
    *("actors", "devnet", "gate", "images", "operations", "oracle", "relay_client"),
    *("sandboxes", "satbox", "simulator", "stacks", "storage"),
)
DOCUMENTS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "design").glob("*.md")))
NOT_COUNTED = {"errors.md", "words.md"}
"""Generated from texts that users see; the list of these words itself."""

GENERATED = {ROOT / "satbox/client/_generated.py"}
PATTERNS = {
    "told": r"\btold\b",
    "whoever": r"\bwho(m)?ever\b",
    "anew": r"\banew\b",
    "of whom": r"\bof whom\b",
    "is had": r"\b(is|be|are) had\b",
    "is no X": r"(?<!there )\b(is|are) no (?!longer|more than)\w+",
    "that is none": r"\b(that|which|what) (is|are) none\b",
    "set aside": r"\bsets? (\w+ )?aside\b",
    "goes on": r"\bgo(es)? on\b",
    "comes back": r"\bcomes? back\b",
    "leans on": r"\blean(s|ed|ing)? on\b",
}
COUNTED_AT_MOST = {
    "told": 47,
    "whoever": 26,
    "anew": 8,
    "of whom": 0,
    "is had": 1,
    "is no X": 20,
    "that is none": 1,
    "set aside": 36,
    "goes on": 16,
    "comes back": 6,
    "leans on": 6,
}


def prose_of(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each comment and docstring."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        for text in texts_that_stand_alone(node):
            yield from enumerate(source.splitlines()[text.lineno - 1 : text.end_lineno], text.lineno)


def texts_that_stand_alone(node: ast.AST) -> Iterator[ast.expr]:
    """What describes a module, a class, a function or the name above it."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        yield node.value


def prose() -> Iterator[tuple[str, str]]:
    """(place, text) of everything that is counted."""
    for package in CODE:
        for file in sorted(set((ROOT / package).rglob("*.py")) - GENERATED):
            for line, text in prose_of(file.read_text()):
                yield f"{file.relative_to(ROOT)}:{line}", text
    for file in DOCUMENTS:
        if file.name not in NOT_COUNTED:
            for line, text in enumerate(file.read_text().splitlines(), 1):
                yield f"{file.relative_to(ROOT)}:{line}", text


def matches(pattern: str, text: str) -> bool:
    """Names of code, between backticks, are not prose."""
    return re.search(pattern, re.sub(r"`[^`]*`", "``", text), re.IGNORECASE) is not None


def test_hard_words_only_become_fewer() -> None:
    everything = list(prose())
    found = {word: [place for place, text in everything if matches(p, text)] for word, p in PATTERNS.items()}
    grown = {word: places for word, places in found.items() if len(places) > COUNTED_AT_MOST[word]}
    assert not grown, f"say it as design/words.md advises: {grown}"


def test_it_sees_comments_and_docstrings_and_no_other_text() -> None:
    source = 'def f():\n    """Whoever asks."""\n    x = "anew"  # told again\n\n\nY = 1\n"""Goes on."""\n'
    assert [(line, text.strip()) for line, text in sorted(prose_of(source))] == [
        (2, '"""Whoever asks."""'),
        (3, "# told again"),
        (7, '"""Goes on."""'),
    ]


def test_every_pattern_matches_its_word_and_no_name_of_code() -> None:
    bad = (
        "He is told by whoever, of whom it is had, anew: it is no joke that is none. "
        "It goes on, leans on it, comes back, is set aside."
    )
    assert all(matches(pattern, bad) for pattern in PATTERNS.values())
    assert not any(matches(pattern, "it is `told`; there is no longer one") for pattern in PATTERNS.values())


def test_the_glossary_names_files_that_exist() -> None:
    page = (ROOT / "design" / "words.md").read_text()
    named = re.findall(r"\| `([\w/]+\.(?:py|md))` \|", page)
    assert len(named) > 80
    assert [name for name in named if not (ROOT / name).exists()] == []
