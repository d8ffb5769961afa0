"""Which words of `satbox exec` are the command's and which are ours."""

from types import SimpleNamespace

import pytest

from satbox.cli.errors import UsageError
from satbox.cli.sandbox.execution import command_of


@pytest.mark.parametrize(
    ("words", "command", "as_json"),
    [
        (["ls", "--json"], {"shell": "ls"}, True),
        (["ls -la | wc", "--json"], {"shell": "ls -la | wc"}, True),
        (["--", "ls", "--json"], {"argv": ["ls", "--json"]}, False),
        (["npm", "ls", "--json"], {"argv": ["npm", "ls", "--json"]}, False),
        (["ls", "--json", "x"], {"argv": ["ls", "--json", "x"]}, False),
    ],
)
def test_an_option_after_one_word_is_ours(words: list[str], command: object, as_json: bool) -> None:
    context = SimpleNamespace(arguments=SimpleNamespace(words=words, shell=False), as_json=False)

    assert command_of(context) == command  # type: ignore[arg-type]
    assert context.as_json is as_json


@pytest.mark.parametrize("option", ["--raw", "--table", "--timeout-seconds"])
def test_another_option_behind_a_line_for_the_shell_is_refused(option: str) -> None:
    """It was taken for an argument of a program named `sleep 5`: exit code 127, and `processes start` said `running`."""
    context = SimpleNamespace(arguments=SimpleNamespace(words=["sleep 5", option, "1"], shell=False), as_json=False)

    with pytest.raises(UsageError):
        command_of(context)  # type: ignore[arg-type]
