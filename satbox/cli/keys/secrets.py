"""`secrets set`: the value is read from standard input, so that no shell's history and no process list has it."""

import getpass
import sys

from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.generic import values_of
from satbox.cli.output import document_of, show
from satbox.cli.people import for_people

VALUE_BYTES_MAX = 32_768


def _value() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("secret: ")
    raw = sys.stdin.buffer.read(VALUE_BYTES_MAX + 2)
    try:
        return raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise UsageError("the secret is not text", "Encode it, in base64 for example.") from error


async def keep(context: Context) -> int:
    """Keep it. `--value` is there for scripts that know what they do."""
    values = values_of(context)
    values["value"] = values.get("value") or _value()
    async with context.client() as client:
        secret = await client.secrets_set(**values)
    show(context, secret if context.as_json else for_people("secrets.set", document_of(secret)))
    return 0
