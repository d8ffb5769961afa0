"""One command, run and answered."""

import base64
from typing import Literal

from pydantic import Field

from operations.codes import RUNNING
from operations.models import Output, Receipt, Target
from operations.registry import Auth, Feature, Operation
from operations.surfaces import Option, Tool, Verb


class ExecInput(Target):
    """A command: `argv`, or one line for the shell."""

    argv: list[str] | None = Field(None, min_length=1, max_length=1024, description="a program and its arguments")
    shell: str | None = Field(None, min_length=1, max_length=131_072, description="one line for the shell")
    cwd: str = Field("/workspace", max_length=4096, description="the folder it runs in")
    env: dict[str, str] = Field(
        default_factory=dict, max_length=256, description="a variable for this command; can be given more than once"
    )
    stdin: str | None = Field(None, max_length=1_500_000, description="base64")
    timeout_seconds: float = Field(60, gt=0, le=3600, description="end it after so many seconds")
    output_limit_bytes: int | None = Field(
        None,
        ge=0,
        le=16_777_216,
        description="keep so many bytes each of stdout and stderr; default: 1048576, with stream all of it",
    )
    stream: bool = Field(False, description="answer with server-sent events as output appears")
    receipt: bool = Field(False, description="also sign what ran, what came out and what it cost; not with stream")


class ExecResult(Output):
    """How a command ended. Exactly one of `exit_code` and `signal` is set. An output that is not UTF-8 is in its `_base64` field,
    and its text is empty. `truncated` counts the bytes that are missing at an output's end.
    """

    exit_code: int | None = None
    signal: int | None = None
    oom_killed: bool = False
    timed_out: bool = False
    stdout: str = ""
    stderr: str = ""
    stdout_base64: str | None = None
    stderr_base64: str | None = None
    truncated: dict[str, int] = Field(default_factory=dict)
    cpu_ms: float | None = None
    max_rss_bytes: int | None = None
    duration_ms: float | None = None
    start_error: str | None = None
    evidence: str = "host"
    runtime_id: str | None = None
    receipt: Receipt | None = None
    receipt_salt: str | None = None


def delivered(result: ExecResult, name: Literal["stdout", "stderr"]) -> bytes:
    """An output's bytes as the answer carries them: text, or base64 where they are not text. ValueError when it is neither."""
    encoded: str | None = getattr(result, f"{name}_base64")
    text: str = getattr(result, name)
    return text.encode() if encoded is None else base64.b64decode(encoded, validate=True)


FEATURE = Feature(
    40,
    (
        Operation(
            "sandbox.exec", "POST", "/sandbox/exec",
            "Run a command in your sandbox.",
            ExecInput, ExecResult, Auth.OWNER, scope="exec", errors=RUNNING, ends_with_caller=True,
            verb=Verb(
                ("exec",), "run a command in your sandbox", hidden=("argv", "shell", "stdin", "stream"),
                options=(
                    Option("stdin", "pass our standard input on (up to 1 MB)", "flag", flags=("-i", "--stdin")),
                    Option("shell", "the words are one line for the shell", "flag"),
                    Option("raw", "the command's own output on stdout, not JSON", "flag"),
                    Option("words", "one word: a shell line; more: argv", "words", flags=(), metavar="COMMAND"),
                ),
                run="sandbox.execution:execute",
            ),
            tool=Tool(
                "satbox_exec", hidden=("stream",),
                properties={"stdin": {"type": "string", "description": "text for the command's standard input"}},
                is_destructive=True,
            ),
        ),
    ),
)  # fmt: skip
