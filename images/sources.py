"""The host's own package sources, as text for a build: its release and no other's, whatever mirror it uses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


class SourcesMissing(Exception):  # noqa: N818 - reads as what happened
    """This machine has no package sources of its own release to build from."""


@dataclass(frozen=True, slots=True)
class Sources:
    """A release's name and its sources in the one-line form."""

    suite: str
    text: str


def host_sources(etc: Path = Path("/etc")) -> Sources:
    """Sources for the release that the host runs, security and updates included; others' (a vendor's, say) are left out.
    Raises SourcesMissing.
    """
    suite = _codename(etc)
    lines: list[str] = []
    for path in [etc / "apt/sources.list", *sorted((etc / "apt/sources.list.d").glob("*"))]:
        try:
            text = path.read_text()
        except OSError:
            continue
        if path.suffix == ".sources":
            lines += _of_stanzas(text)
        elif path.suffix == ".list":
            lines += [line.strip() for line in text.splitlines() if line.strip().startswith("deb ")]
    kept = [line for line in dict.fromkeys(lines) if _suite(line) == suite or _suite(line).startswith(f"{suite}-")]
    if not any(_suite(line) == suite for line in kept):
        raise SourcesMissing(f"apt has no source for {suite} on this machine")
    return Sources(suite, "\n".join(kept) + "\n")


def _codename(etc: Path) -> str:
    try:
        found = re.search(r'^VERSION_CODENAME="?([a-z0-9-]+)"?$', (etc / "os-release").read_text(), re.MULTILINE)
    except OSError as error:
        raise SourcesMissing(f"{etc / 'os-release'}: {error.strerror}") from error
    if found is None:
        raise SourcesMissing(f"{etc / 'os-release'} names no release")
    return found[1]


def _suite(line: str) -> str:
    """The suite of `deb [options] URI suite component...`."""
    words = re.sub(r"\[[^]]*\]", "", line).split()
    return words[2] if len(words) > 2 else ""


def _of_stanzas(text: str) -> list[str]:
    """deb822 stanzas as lines: one for each URI and suite."""
    lines = []
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and name:
                fields[name] += " " + line.strip()
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        signed = fields.get("signed-by", "")
        options = f"[signed-by={','.join(signed.split())}] " if signed.startswith("/") else ""
        for uri in fields.get("uris", "").split():
            suites = fields.get("suites", "").split()
            lines += [f"deb {options}{uri} {suite} {fields.get('components', '')}".strip() for suite in suites]
    return lines
