"""`satbox status` by a pass that is kept, without the client, whose imports take nine tenths of such a command's time.

Only the usual case is done here: a pass that is good for a while, and an answer with status 200. Everything else (no pass, an
error, a gate that does not answer) is left to the client, which asks again and says what is wrong. So only what changes nothing
is asked.
"""

import json
import time
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from satbox.agent.private_file import read_private
from satbox.cli.context import Context

ANSWER_BYTES_MAX = 1 << 20
SECONDS_MAX = 10.0
RENEW_SECONDS = 60.0


def status(context: Context, values: dict[str, Any]) -> dict[str, Any] | None:
    """The wallet's status; None when the client has to do it."""
    gate = context.gate.rstrip("/")
    token = _kept_token(context, gate)
    if token is None:
        return None
    asked = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()}
    try:
        return _document(gate, f"/sandbox/status?{urlencode(asked)}" if asked else "/sandbox/status", token)
    except (OSError, ValueError):
        return None


def _kept_token(context: Context, gate: str) -> str | None:
    """The pass that the client keeps for this gate, as `satbox.client.passes` does."""
    path = context.home / "agents" / context.agent_name / "passes.json"
    try:
        kept = json.loads(read_private(path))[f"{gate} {context.network}"]
        ends_at = datetime.fromisoformat(kept["expires_at"]).timestamp()
        return str(kept["token"]) if ends_at > time.time() + RENEW_SECONDS else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _document(gate: str, path: str, token: str) -> dict[str, Any] | None:
    """Raises OSError or ValueError for whatever a server may answer in place of a document."""
    import http.client

    parts = urlsplit(gate)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    if not parts.hostname:
        return None
    connection = kind(parts.hostname, parts.port, timeout=SECONDS_MAX)
    try:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        connection.request("GET", parts.path + path, headers=headers)
        answer = connection.getresponse()
        body = answer.read(ANSWER_BYTES_MAX + 1)
        if answer.status != 200 or len(body) > ANSWER_BYTES_MAX:
            return None
        document = json.loads(body)
        return document if isinstance(document, dict) and "state" in document else None
    except http.client.HTTPException:
        return None
    finally:
        connection.close()
