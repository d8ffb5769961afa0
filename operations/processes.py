"""Background processes and ports: operations, what they take and give."""

from typing import Literal

from pydantic import Field

from operations.codes import IDENTITY, RUNNING
from operations.commands import ExecResult
from operations.models import Output, Target
from operations.registry import Auth, Body, Feature, Operation
from operations.surfaces import Actions, NoTool, Option, Tool, Verb

_ONE = "/sandbox/processes/{process_id}"
_ERRORS = (*RUNNING, "process_not_found")


class StartProcessInput(Target):
    """A process that goes on when the request has ended: `argv`, or one line for the shell."""

    argv: list[str] | None = Field(None, min_length=1, max_length=1024, description="a program and its arguments")
    shell: str | None = Field(None, min_length=1, max_length=131_072, description="one line for the shell")
    cwd: str = Field("/workspace", max_length=4096, description="the folder it runs in")
    env: dict[str, str] = Field(
        default_factory=dict, max_length=256, description="a variable for this process; can be given more than once"
    )
    timeout_seconds: float = Field(0, ge=0, le=31_622_400, description="end it after so many seconds; 0 lets it run")
    unattended_seconds: float = Field(
        0, ge=0, le=86_400, description="end it once nobody has been attached for so long; 0 lets it go on"
    )
    terminal: bool = Field(False, description="give it a terminal; both outputs then come as stdout")
    rows: int = Field(24, ge=1, le=1000, description="the terminal's height")
    columns: int = Field(80, ge=1, le=1000, description="the terminal's width")


class ProcessInput(Target):
    """One process."""

    process_id: str = Field(pattern=r"^p_[0-9a-f]{12}$", description="the process's id, p_...")


class SignalInput(ProcessInput):
    """A signal for a process and all it started in its group."""

    signal: str = Field("TERM", pattern=r"^[A-Za-z0-9+]{1,16}$", description="a signal's name")


class ProcessWriteInput(ProcessInput):
    """Input for a process."""

    data: str = Field("", max_length=1_500_000, description="base64")
    end: bool = Field(False, description="no more follows")


class ResizeInput(ProcessInput):
    """The size of a process's terminal."""

    rows: int = Field(ge=1, le=1000, description="the terminal's height")
    columns: int = Field(ge=1, le=1000, description="the terminal's width")


class WaitInput(ProcessInput):
    """What to wait for. Not met in time is an answer (`met` is false), not an error."""

    until: Literal["exit", "text", "port"] = Field("exit", description="its end, text it writes, or a port it opens")
    text: str | None = Field(None, min_length=1, max_length=1024, description="the text, byte by byte")
    port: int | None = Field(None, ge=1, le=65_535, description="the port to wait for, inside")
    after: int = Field(0, ge=0, description="look only at what it wrote after this cursor")
    timeout_seconds: float = Field(60, gt=0, le=600, description="wait at most so long")


class LogsInput(ProcessInput):
    """What a process wrote."""

    after: int = Field(0, ge=0, description="only what it wrote after this cursor")
    limit_bytes: int = Field(1_048_576, ge=1, le=1_048_576, description="at most so many bytes")
    follow: bool = Field(False, description="go on with what it writes next, until it ends")


class AttachInput(ProcessInput):
    """A process to attach to."""

    after: int = Field(0, ge=0, description="begin with what it wrote after this cursor")


class ProcessView(ExecResult):
    """A process: what it is, and how it ended. `log_start` to `log_end` is what of its output is still kept."""

    process_id: str
    argv: list[str]
    cwd: str
    state: Literal["running", "exited", "lost"]
    terminal: bool = False
    pid: int
    started_at: str
    log_start: int
    log_end: int


class ProcessList(Output):
    """All processes of a sandbox, running and ended."""

    items: list[ProcessView]


class Waited(ProcessView):
    """Whether it came to pass; `cursor` is behind the text that was found."""

    met: bool
    cursor: int | None = None


class LogPiece(Output):
    """Bytes of one stream; `cursor` is behind them."""

    stream: Literal["stdout", "stderr"]
    cursor: int
    data: str
    data_base64: str | None = None


class Logs(Output):
    """What a process wrote. `lost_bytes` were written before and are no longer kept."""

    items: list[LogPiece]
    cursor: int
    lost_bytes: int
    state: Literal["running", "exited", "lost"]


class ExposedPort(Output):
    """A port that whoever holds its token may reach."""

    port: int
    expires_at: str


class Ports(Output):
    """TCP ports that somebody listens on inside, and those given out by tokens."""

    items: list[int]
    exposed: list[ExposedPort] = Field(default_factory=list)


class PortInput(Target):
    """One port."""

    port: int = Field(ge=1, le=65_535, description="the port inside")


class ExposeInput(PortInput):
    """A port to give out."""

    seconds: int = Field(3600, ge=1, le=2_592_000, description="how long the token opens it")


class PortToken(Output):
    """A way in. The token is shown once. A browser opens `url`: it keeps the token as a cookie of the port's own origin. Programs
    send it as X-Satbox-Token, or in the query as the URLs have it.
    """

    port: int
    token: str
    url: str
    """At an origin of the port's own, where pages work as on their owner's machine; as `path_url` when the gate has none."""
    path_url: str = ""
    """In path form, below the gate's own URL: for programs."""
    expires_at: str


class Told(Output):
    """It was passed on."""

    ok: bool = True


FEATURE = Feature(
    70,
    (
        Operation(
            "processes.start", "POST", "/sandbox/processes",
            "Start a process in the background; it goes on when the request has ended.",
            StartProcessInput, ProcessView, Auth.OWNER, scope="exec", errors=(*RUNNING, "overloaded"),
            verb=Verb(
                ("processes", "start"), "start a process that goes on by itself", hidden=("argv", "shell"),
                options=(
                    Option("shell", "the words are one line for the shell", "flag"),
                    Option("words", "one word: a shell line; more: argv", "words", flags=(), metavar="COMMAND"),
                ),
                run="sandbox.background:start", form="sandbox.sandbox_tables:process",
            ),
            tool=Tool("satbox_start_process"),
        ),
        Operation(
            "processes.list", "GET", "/sandbox/processes",
            "List background processes, running and ended.",
            Target, ProcessList, Auth.OWNER, scope="exec", errors=RUNNING,
            verb=Verb(
                ("processes", "list"), "list background processes", form="sandbox.sandbox_tables:processes",
                empty=": satbox processes start COMMAND runs one",
            ),
            tool=Tool("satbox_list_processes"),
        ),
        Operation(
            "processes.get", "GET", _ONE,
            "See a background process and how it ended.",
            ProcessInput, ProcessView, Auth.OWNER, scope="exec", errors=_ERRORS, positional=("process_id",),
            verb=Verb(("processes", "get"), "see a process and how it ended", form="sandbox.sandbox_tables:process"),
            tool=NoTool("the list says as much"),
        ),
        Operation(
            "processes.kill", "DELETE", _ONE,
            "End a process and all it started, and forget its log.",
            ProcessInput, ProcessView, Auth.OWNER, scope="exec", errors=_ERRORS, positional=("process_id",),
            verb=Verb(("processes", "kill"), "end a process and all it started", form="sandbox.sandbox_tables:process"),
            tool=Tool("satbox_kill_process", is_destructive=True),
        ),
        Operation(
            "processes.signal", "POST", f"{_ONE}/signal",
            "Signal a process.",
            SignalInput, Told, Auth.OWNER, scope="exec", errors=(*_ERRORS, "process_ended"),
            positional=("process_id", "signal"),
            verb=Verb(("processes", "signal"), "signal a process"),
            tool=NoTool("agents end a process, or run kill inside"),
        ),
        Operation(
            "processes.write", "POST", f"{_ONE}/stdin",
            "Send a process input.",
            ProcessWriteInput, Told, Auth.OWNER, scope="exec", errors=(*_ERRORS, "process_ended"),
            positional=("process_id",), ends_with_caller=True,
            verb=Verb(
                ("processes", "write"), "send a process our standard input", hidden=("data",), run="sandbox.background:write",
            ),
            tool=Tool("satbox_write_process"),
        ),
        Operation(
            "processes.resize", "POST", f"{_ONE}/resize",
            "Tell a process's terminal its size.",
            ResizeInput, Told, Auth.OWNER, scope="exec", errors=(*_ERRORS, "process_ended"), positional=("process_id",),
            verb=Verb(("processes", "resize"), "tell a process's terminal its size"),
            tool=NoTool("agents have no terminal"),
        ),
        Operation(
            "processes.wait", "POST", f"{_ONE}/wait",
            "Wait for a process's end, for text it writes, or for a port it opens.",
            WaitInput, Waited, Auth.OWNER, scope="exec", errors=_ERRORS, positional=("process_id",), ends_with_caller=True,
            verb=Verb(("processes", "wait"), "wait for its end, its output or its port", form="sandbox.sandbox_tables:process"),
            tool=Tool("satbox_wait_process"),
        ),
        Operation(
            "processes.logs", "GET", f"{_ONE}/logs",
            "Read what a process wrote, from a cursor on.",
            LogsInput, Logs, Auth.OWNER, scope="exec", errors=_ERRORS, positional=("process_id",), ends_with_caller=True,
            verb=Verb(("processes", "logs"), "read what a process wrote, or follow it", run="sandbox.following:logs"),
            tool=Tool("satbox_process_logs"),
        ),
        Operation(
            "processes.attach", "GET", f"{_ONE}/attach",
            "Attach to a process by websocket: its output, its input, its terminal.",
            AttachInput, None, Auth.OWNER, body=Body.SOCKET, scope="exec", errors=_ERRORS, positional=("process_id",),
            verb=Verb(("processes", "attach"), "attach this terminal to a process", run="sandbox.terminal:attach"),
            tool=NoTool("a live terminal; agents read logs and write input"),
        ),
        Operation(
            "ports.list", "GET", "/sandbox/ports",
            "List the TCP ports that somebody listens on inside.",
            Target, Ports, Auth.OWNER, scope="exec", errors=RUNNING,
            verb=Verb(
                ("ports", "list"), "list the ports that are listened on inside",
                empty=": satbox ports expose PORT gives out a link",
            ),
            tool=Tool("satbox_list_ports"),
        ),
        Operation(
            "ports.expose", "POST", "/sandbox/ports/{port}/expose",
            "Let holders of the token reach a server in your sandbox.",
            ExposeInput, PortToken, Auth.OWNER, scope="owner",
            errors=(*IDENTITY, "not_owner", "wallet_not_found", "overloaded"), positional=("port",),
            verb=Verb(("ports", "expose"), "let holders of a token reach a port"),
            tool=Tool(
                "satbox_expose_port", is_destructive=True,
                actions=Actions({"expose": "ports.expose", "revoke": "ports.revoke"}, "revoke voids every token of the port"),
            ),
        ),
        Operation(
            "ports.revoke", "DELETE", "/sandbox/ports/{port}/expose",
            "Void every token of a port.",
            PortInput, Told, Auth.OWNER, scope="owner", errors=(*IDENTITY, "not_owner", "wallet_not_found"),
            positional=("port",),
            verb=Verb(("ports", "revoke"), "void every token of a port"),
            tool=NoTool("satbox_expose_port revokes too"),
        ),
    ),
    verb_groups={"processes": "run things in the background", "ports": "reach servers in the sandbox"},
)  # fmt: skip
