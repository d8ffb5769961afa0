"""One command, run and answered."""

from operations import models as m
from operations.codes import RUNNING
from operations.registry import Auth, Feature, Operation
from operations.surfaces import Option, Tool, Verb

FEATURE = Feature(
    40,
    (
        Operation(
            "sandbox.exec", "POST", "/sandbox/exec",
            "Run a command in your sandbox.",
            m.ExecInput, m.ExecResult, Auth.OWNER, scope="exec", errors=RUNNING, ends_with_caller=True,
            verb=Verb(
                ("exec",), "run a command in your sandbox", hidden=("argv", "shell", "stdin", "stream"),
                options=(
                    Option("stdin", "pass our standard input on (up to 1 MB)", "flag", flags=("-i", "--stdin")),
                    Option("shell", "the words are one line for the shell", "flag"),
                    Option("raw", "the command's own output on stdout, not JSON", "flag"),
                    Option("words", "one word: a shell line; more: argv", "words", flags=(), metavar="COMMAND"),
                ),
                run="execution:execute",
            ),
            tool=Tool(
                "satbox_exec", hidden=("stream",),
                properties={"stdin": {"type": "string", "description": "text for the command's standard input"}},
                is_destructive=True,
            ),
        ),
    ),
)  # fmt: skip
