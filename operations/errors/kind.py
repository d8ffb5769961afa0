"""What an error code means, and what to do about it on each surface."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """What one error code means to a caller.

    `hint` speaks HTTP, as the gate's callers do. `on_cli` says the same in verbs of the command line, `by_tool` in names of
    tools. Without one, `hint` fits there too.
    """

    code: str
    status: int
    message: str
    hint: str
    retryable: bool = False
    on_cli: str = ""
    by_tool: str = ""


# What many errors have in common.
CLI_PROVES_AGAIN = "Run the command again: it proves the keys again. (satbox prove shows what the gate says.)"
CLI_CHECK_KEYS = (
    "Run satbox prove: it signs with the agent's keys. For keys elsewhere, sign what satbox challenge prints."
)
CLI_SIGNS_AGAIN = "Run the command again: it signs a new payment."
CLI_OTHER_VERSION = "Nothing was paid. Check that --gate is the gate that you mean, and of this version."
TOOL_PROVES_AGAIN = "Call the tool again: this server proves its keys again."
TOOL_CHECK_KEYS = "Call satbox_prove: it shows what is wrong with this server's keys."
TOOL_SIGNS_AGAIN = "Call the tool again: a new payment is signed."
TOOL_OTHER_VERSION = (
    "Nothing was paid. Tell the owner: this server and the gate do not speak the same version or network."
)
TOOL_PAY_MORE = "See satbox_status; satbox_extend pays, and wakes the sandbox."
TOOL_OWNER = "Only your owner can do this, on the command line."
