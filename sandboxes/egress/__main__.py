"""`python -m sandboxes.egress --control-fd N --uid U --settings-json JSON`: the proxy, until its node hangs up.

Started by the node as root, since our own code may lie where nobody else can read; what it needs is imported and read, and
then it becomes `U`, an id that nothing else on the machine has, with no right left and no way to one.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures.thread  # noqa: F401 - imported before our files can no longer be read
import ctypes
import encodings.idna
import logging
import os
import resource
import signal
import socket
import ssl
import time

from operations import logs
from sandboxes.egress.addresses import AddressCheck, OwnAddresses
from sandboxes.egress.control import Control
from sandboxes.egress.dialing import Dialer
from sandboxes.egress.proxy import Proxy
from sandboxes.egress.resolver import SystemResolver
from sandboxes.egress.settings import EgressSettings

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_CAPABILITY_LAST_MAX = 63
_PRELOADED = encodings.idna


class RightsLeftError(Exception):
    """A right that should have gone is still there."""


def drop_rights(uid: int) -> None:
    """Become `uid` for good: no groups, no capabilities, no new ones by exec, unseen by others of the same id. Dies with its
    parent. Raises RightsLeftError, OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_CAPABILITY_LAST_MAX + 1):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    parent = os.getppid()
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise RightsLeftError("the node is gone")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/thread-self/status") as file:
        status = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    wrong = [name for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if int(status[name], 16)]
    if wrong or status["NoNewPrivs"].strip() != "1" or set(status["Uid"].split()) != {str(uid)}:
        raise RightsLeftError(f"rights are left: {wrong or status['Uid']}")


def _raise_descriptors(settings: EgressSettings) -> None:
    """Two for each connection, and some."""
    wanted = 2 * settings.connections_max + 4096
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or wanted <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(settings: EgressSettings, channel: socket.socket, tls: ssl.SSLContext) -> None:
    check = AddressCheck(OwnAddresses(time.monotonic), settings.refuse)
    proxy = Proxy(settings, Dialer(settings, SystemResolver(settings.names), check), tls)
    try:
        await Control(proxy, channel).run()
    finally:
        await proxy.close()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="sandboxes.egress")
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--uid", type=int, required=True)
    parser.add_argument("--settings-json", default="{}")
    arguments = parser.parse_args()
    logs.configure(logging.INFO)
    settings = EgressSettings.model_validate_json(arguments.settings_json)
    tls = ssl.create_default_context(cafile=settings.ca_file)
    os.chdir("/")
    _raise_descriptors(settings)
    if os.geteuid() == 0:
        drop_rights(arguments.uid)
    channel = socket.socket(fileno=arguments.control_fd)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    asyncio.run(_serve(settings, channel, tls))
    os._exit(0)  # threads may still wait for a name server


if __name__ == "__main__":
    main()
