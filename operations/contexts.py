"""Code contexts: Python that keeps its variables between runs; operations, what they take and give."""

from typing import Any

from pydantic import Field

from operations.codes import RUNNING
from operations.models import Done, Output, Target
from operations.registry import Auth, Feature, Operation
from operations.surfaces import NoTool, Tool, Verb

_ONE = "/sandbox/contexts/{context_id}"
_ERRORS = (*RUNNING, "context_not_found", "context_died")


class CreateContextInput(Target):
    """A new context."""

    cwd: str = Field("/workspace", max_length=4096, description="the folder it runs in")
    env: dict[str, str] = Field(
        default_factory=dict, max_length=256, description="a variable for its code; can be given more than once"
    )


class ContextInput(Target):
    """One context."""

    context_id: str = Field(pattern=r"^c_[0-9a-f]{12}$", description="the context's id, c_...")


class RunInput(ContextInput):
    """Code to run."""

    code: str = Field(min_length=1, max_length=1_000_000, description="Python code to run")
    timeout_seconds: float = Field(60, gt=0, le=3600, description="interrupt it after so many seconds")
    stream: bool = Field(False, description="answer with events as they happen")


class Context(Output):
    """A Python that keeps its variables."""

    context_id: str
    created_at: str


class ContextList(Output):
    """Those that live."""

    items: list[Context]


class Shown(Output):
    """A value or a picture: its forms by MIME type. Images are base64."""

    kind: str
    data: dict[str, Any]


class Raised(Output):
    """An exception."""

    name: str
    value: str
    traceback: list[str]


class RunResult(Output):
    """What code did. `results` has the last expression's value and everything that was displayed, in order."""

    stdout: str
    stderr: str
    results: list[Shown]
    error: Raised | None = None
    timed_out: bool = False
    truncated: bool = False
    execution_count: int | None = None


FEATURE = Feature(
    80,
    (
        Operation(
            "contexts.create", "POST", "/sandbox/contexts",
            "Start a Python that keeps its variables between runs (image: python).",
            CreateContextInput, Context, Auth.OWNER, scope="exec", errors=(*RUNNING, "context_unavailable", "overloaded"),
            ends_with_caller=True,
            verb=Verb(("contexts", "create"), "start a Python that keeps its variables"),
            tool=Tool("satbox_create_context"),
        ),
        Operation(
            "contexts.list", "GET", "/sandbox/contexts",
            "List code contexts.",
            Target, ContextList, Auth.OWNER, scope="exec", errors=RUNNING,
            verb=Verb(("contexts", "list"), "list code contexts", empty=": satbox contexts create opens one (image: python)"),
            tool=NoTool("an agent knows what it created"),
        ),
        Operation(
            "contexts.run", "POST", f"{_ONE}/run",
            "Run Python in a context: output, values, pictures, exceptions.",
            RunInput, RunResult, Auth.OWNER, scope="exec", errors=(*_ERRORS, "context_busy"),
            positional=("context_id", "code"), ends_with_caller=True,
            verb=Verb(("contexts", "run"), "run Python in a context", hidden=("stream",)),
            tool=Tool("satbox_run_code", is_destructive=True),
        ),
        Operation(
            "contexts.interrupt", "POST", f"{_ONE}/interrupt",
            "Interrupt what runs in a context, as ctrl-C would.",
            ContextInput, Done, Auth.OWNER, scope="exec", errors=_ERRORS, positional=("context_id",),
            verb=Verb(("contexts", "interrupt"), "interrupt what runs in a context"),
            tool=NoTool("runs have a timeout"),
        ),
        Operation(
            "contexts.delete", "DELETE", _ONE,
            "End a context; its variables are gone.",
            ContextInput, Done, Auth.OWNER, scope="exec", errors=_ERRORS, positional=("context_id",),
            verb=Verb(("contexts", "delete"), "end a context; its variables are gone"),
            tool=NoTool("it ends with the sandbox"),
        ),
    ),
    verb_groups={"contexts": "run Python that keeps its variables"},
)  # fmt: skip
