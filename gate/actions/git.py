"""git inside a sandbox: a command like any other, as the tenant, with nothing of the service's on its side.

What it prints is a tenant's word: bounded, read strictly, and believed no more than any output.
"""

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from gate.context import RequestContext, action
from gate.parts.services import Services
from gate.reach.reaching import Reach
from operations import git as g
from operations.errors import SatboxError
from sandboxes.egress.settings import ALIAS_SUFFIX
from sandboxes.texts import shown

STDERR_CHARACTERS_MAX = 2000
NO_GIT, NOT_EMPTY = 97, 98
_REFERENCE = re.compile(r"(?!-)[A-Za-z0-9._/+@-]{1,255}")
_SEEN = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\n([^\n]{0,255})\n([0-9]{1,18}) ([0-9]{1,18})\n")

# git is restricted to these protocols, so that no redirect leads to another. Hooks and templates come from an empty folder, and
# a repository's own attributes find no filter to run.
SCRIPT = r"""
set -u
command -v git >/dev/null 2>&1 || exit 97
target=$2
if [ -e "$target" ] && [ -n "$(ls -A -- "$target" 2>/dev/null || echo x)" ]; then exit 98; fi
empty=$(mktemp -d) || exit 1
trap 'rm -rf "$empty"' EXIT
export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ALLOW_PROTOCOL=$3 GIT_ASKPASS=/bin/false
url=$1; shift 3
git -c core.hooksPath="$empty" clone --quiet --no-recurse-submodules --template="$empty" "$@" \
    -- "$url" "$target" >&2 || exit $?
cd -- "$target" || exit 1
git -c core.hooksPath="$empty" rev-parse HEAD || exit 1
git symbolic-ref --quiet --short HEAD || echo
git ls-tree -r -l HEAD | awk '$2 == "blob" { files += 1; bytes += $4 } END { printf "%d %.0f\n", files, bytes }'
"""


def _fault(**fields: str) -> SatboxError:
    return SatboxError("invalid_request", details=dict(fields))


def _url(services: Services, data: g.CloneInput, aliases: dict[str, dict[str, str]]) -> str:
    """The URL that git gets: https, or plain http to an alias, from where the proxy forwards it."""
    try:
        parts = urlsplit(data.url)
        _port = parts.port
    except ValueError as error:
        raise _fault(url="not a URL") from error
    # Scheme and host are the same in upper case; git and the proxy's rules get them in lower case.
    url = urlunsplit(parts._replace(netloc=parts.netloc.lower()))
    if parts.username or parts.password or parts.fragment or re.search(r"[\x00-\x20\x7f]", data.url):
        raise _fault(url="a URL without user, password and fragment; keep a secret of kind header instead")
    if data.secret is not None:
        details = aliases.get(data.secret)
        if details is None:
            raise SatboxError("secret_not_found")
        base = details["upstream"].rstrip("/")
        rest = url.removeprefix(base)
        if not url.startswith(base) or not rest.startswith("/"):
            raise _fault(url="not below the secret's upstream")
        return f"http://{details['alias']}{ALIAS_SUFFIX}{rest}"
    inside = parts.scheme == "http" and (parts.hostname or "").endswith(ALIAS_SUFFIX)
    if (parts.scheme != "https" and not inside) or not parts.hostname:
        raise _fault(url="https only")
    return url


@action("git.clone")
async def clone(context: RequestContext, data: g.CloneInput) -> g.Cloned:
    """Clone and say what came."""
    services, caller = context.services, context.caller
    path = data.path if data.path.startswith("/") else f"/workspace/{data.path}"
    if "\0" in path or not path.startswith("/workspace/") or ".." in path.split("/"):
        raise SatboxError("path_invalid")
    if data.branch is not None and not _REFERENCE.fullmatch(data.branch):
        raise _fault(branch="not a branch or tag")
    address = caller.owned(data.address)
    reach = Reach(services, address)
    async with reach as (node, runtime_id):
        url = _url(services, data, reach.header_secrets())
        options = [] if data.branch is None else ["--branch", data.branch]
        options += [] if data.depth is None else ["--depth", str(data.depth)]
        argv = ["/bin/sh", "-c", SCRIPT, "git-clone", url, path, url.partition(":")[0], *options]
        result = await node.exec(
            runtime_id, argv, cwd="/workspace", timeout_seconds=data.timeout_seconds, output_limit_bytes=16_384
        )
    return _outcome(path, result)


def _outcome(path: str, result: dict[str, Any]) -> g.Cloned:
    if result["timed_out"]:
        raise SatboxError("timeout", "The clone took too long; what came of it is still there.")
    if result["exit_code"] == NO_GIT:
        raise SatboxError("git_unavailable")
    if result["exit_code"] == NOT_EMPTY:
        raise SatboxError("path_exists")
    match = _SEEN.fullmatch(shown(result, "stdout"))
    if result["exit_code"] != 0 or match is None:
        raise SatboxError("clone_failed", details={"stderr": shown(result, "stderr")[-STDERR_CHARACTERS_MAX:]})
    return g.Cloned(path=path, commit=match[1], branch=match[2] or None, files=int(match[3]), bytes=int(match[4]))
