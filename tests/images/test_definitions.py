"""Definitions as files: ours are sound, an operator's are found and judged."""

import subprocess
from pathlib import Path

import pytest

import images
from images import DefinitionInvalid, Entrypoint, ImageMissing
from sandboxes.node.entrypoint import FROM_WORKSPACE, RestartPlan


def write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(text)


def test_ours_can_be_read_and_say_what_they_are() -> None:
    assert images.names() == ["agent", "base", "node", "python"]
    for name in images.names():
        definition = images.load(name)
        assert definition.name == name
        assert definition.summary
        assert definition.environment["HOME"] == "/workspace"
        assert "tenant:x:1000" in definition.etc["passwd"]
        assert definition.pinned == (definition.kind == "debian") == bool(definition.packages)
        assert definition.shell == "/bin/bash"


def test_what_is_extended_can_be_overridden_by_name(tmp_path: Path) -> None:
    write(
        tmp_path,
        "mine",
        'name = "mine"\nextends = "base"\nkind = "host-usr"\npinned = false\npython = "/usr/bin/python3"\n'
        '[environment]\nHOME = "/tmp"\n[etc]\nhosts = "127.0.0.1 mine"\n',
    )

    mine = images.load("mine", [tmp_path, *images.folders()])

    assert mine.environment["HOME"] == "/tmp"
    assert mine.environment["LANG"] == images.load("base").environment["LANG"]
    assert mine.etc["hosts"] == "127.0.0.1 mine"
    assert "passwd" in mine.etc


HEAD = 'name = "odd"\nkind = "debian"\npinned = true\npython = "/usr/bin/python3"\n'


@pytest.mark.parametrize(
    "text",
    [
        HEAD, HEAD + 'packages = ["x; rm -rf /"]', HEAD + 'packages = ["--hook=x"]', HEAD + 'packages = ["x"]\nbogus = 1',
        HEAD.replace("odd", "other") + 'packages = ["x"]', HEAD + 'packages = ["x"]\n[etc]\n"../x" = "y"',
        HEAD + 'packages = ["x"]\n[etc]\n"/x" = "y"', "not toml at all =", HEAD + 'extends = "odd"\npackages = ["x"]',
        HEAD + 'packages = ["x"]\n[entrypoint]\nargv = []',
        HEAD + 'packages = ["x"]\n[readiness]\nargv = ["x"]\ntimeout_seconds = 9999',
        HEAD + 'packages = ["x"]\nextends = "base"\netc = "x"',
    ],
)  # fmt: skip
def test_an_unsound_definition_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, "odd", text)

    with pytest.raises(DefinitionInvalid):
        images.load("odd", [tmp_path, *images.folders()])


@pytest.mark.parametrize("name", ["nothing", "../images/base", "", "/etc/passwd"])
def test_a_name_without_a_definition_is_missing(name: str) -> None:
    with pytest.raises(ImageMissing):
        images.load(name)


def plan(restart: str, **options: float) -> RestartPlan:
    return RestartPlan(Entrypoint(argv=("x",), restart=restart, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("restart", "succeeded", "again"),
    [
        ("never", True, False), ("never", False, False), ("on-failure", True, False), ("on-failure", False, True),
        ("always", True, True), ("always", False, True),
    ],
)  # fmt: skip
def test_a_policy_says_what_starts_again(restart: str, succeeded: bool, again: bool) -> None:
    wait = plan(restart).wait_seconds(succeeded=succeeded, lasted_seconds=0.0)

    assert (wait is not None) == again


def test_waits_double_up_to_a_cap_and_restarts_end() -> None:
    policy = plan("always", backoff_seconds=1, backoff_seconds_max=5, restarts_max=5)

    waits = [policy.wait_seconds(succeeded=False, lasted_seconds=0.1) for _ in range(7)]

    assert waits == [1, 2, 4, 5, 5, None, None]


def test_one_that_lasted_is_forgiven() -> None:
    policy = plan("always", backoff_seconds=1, restarts_max=2, settled_seconds=10)

    assert [policy.wait_seconds(succeeded=False, lasted_seconds=lasted) for lasted in (1, 1, 10, 1, 11, 1, 1)] == [
        1, 2, 1, 2, 1, 2, None,
    ]  # fmt: skip


def test_a_very_long_row_of_failures_stays_a_number() -> None:
    policy = plan("always", restarts_max=1000, backoff_seconds_max=30)

    assert {policy.wait_seconds(succeeded=False, lasted_seconds=0) for _ in range(1000)} <= {0.5, 1, 2, 4, 8, 16, 30}


@pytest.mark.parametrize(
    ("made", "code", "words"),
    [
        ("", 0, ""),
        ("mkdir .satbox; echo x > .satbox/start", 126, "chmod +x .satbox/start"),
        ("mkdir -p .satbox/start", 126, "cannot be run"),
        ("mkdir .satbox; ln -s gone .satbox/start", 126, "not a file"),
        (
            "mkdir .satbox; printf '#!/no/such -x\\n' > .satbox/start; chmod +x .satbox/start",
            127,
            "not exist: /no/such",
        ),
        (
            "mkdir .satbox; printf '#!/bin/sh\\r\\nexit 0\\r\\n' > .satbox/start; chmod +x .satbox/start",
            127,
            "carriage return",
        ),
        ("mkdir .satbox; echo 'exit 4' > .satbox/start; chmod +x .satbox/start", 4, ""),
        ("mkdir .satbox; printf '#!/usr/bin/env no-such\\n' > .satbox/start; chmod +x .satbox/start", 127, "no-such"),
        ("mkdir .satbox; printf '#! /bin/sh -e\\nfalse\\n' > .satbox/start; chmod +x .satbox/start", 1, ""),
        ("mkdir .satbox; printf '\\177ELF\\000\\001' > .satbox/start; chmod +x .satbox/start", 126, ".satbox/start"),
        ("mkdir .satbox; printf '#!/bin/sh\\nexit 3\\n' > .satbox/start; chmod +x .satbox/start", 3, ""),
    ],
)
def test_a_start_file_that_cannot_run_says_so(tmp_path: Path, made: str, code: int, words: str) -> None:
    subprocess.run(["/bin/sh", "-c", made], cwd=tmp_path, check=True)

    ended = subprocess.run(FROM_WORKSPACE.argv, cwd=tmp_path, check=False, capture_output=True, text=True)

    assert ended.returncode == code
    assert words in ended.stderr
