"""The host's package sources: its own release and nothing else's."""

from pathlib import Path

import pytest

from images.sources import SourcesMissing, host_sources

DEB822 = """# comment
Types: deb deb-src
URIs: mirror://one.invalid/debian
Suites: trixie trixie-updates
Components: main contrib
Signed-By: /usr/share/keyrings/a.gpg

Types: deb
URIs: mirror://vendor.invalid/packages
Suites: nodistro
Components: main

Types: deb
Enabled: no
URIs: mirror://off.invalid/debian
Suites: trixie
Components: main

Types: deb
URIs: mirror://two.invalid/debian-security
Suites:
 trixie-security
Components: main
"""


def etc_with(tmp_path: Path, files: dict[str, str], release: str = "ID=debian\nVERSION_CODENAME=trixie\n") -> Path:
    (tmp_path / "apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "os-release").write_text(release)
    for name, text in files.items():
        (tmp_path / "apt" / name).write_text(text)
    return tmp_path


def test_stanzas_of_the_host_s_release_become_lines(tmp_path: Path) -> None:
    sources = host_sources(etc_with(tmp_path, {"sources.list.d/debian.sources": DEB822}))

    assert sources.suite == "trixie"
    assert sources.text.splitlines() == [
        "deb [signed-by=/usr/share/keyrings/a.gpg] mirror://one.invalid/debian trixie main contrib",
        "deb [signed-by=/usr/share/keyrings/a.gpg] mirror://one.invalid/debian trixie-updates main contrib",
        "deb mirror://two.invalid/debian-security trixie-security main",
    ]


def test_lines_are_taken_as_they_are_but_for_other_releases(tmp_path: Path) -> None:
    lines = [
        "deb [arch=amd64 signed-by=/k.gpg] mirror://one.invalid/debian trixie main", "# deb mirror://x.invalid/ trixie main",
        "deb mirror://vendor.invalid/ stable main", "deb-src mirror://one.invalid/debian trixie main",
    ]  # fmt: skip
    sources = host_sources(etc_with(tmp_path, {"sources.list": "\n".join(lines), "sources.list.d/x.save": lines[2]}))

    assert sources.text.splitlines() == [lines[0]]


@pytest.mark.parametrize("release", ["ID=debian\n", "VERSION_CODENAME=forky\n", "VERSION_CODENAME='; x'\n"])
def test_no_source_of_the_host_s_release_is_said(tmp_path: Path, release: str) -> None:
    with pytest.raises(SourcesMissing):
        host_sources(etc_with(tmp_path, {"sources.list.d/debian.sources": DEB822}, release))
