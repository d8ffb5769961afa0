"""Start and find the Ray cluster: on loopback, guarded by a token, and not in the way of the OOM killer's wrong choice."""

import asyncio
import contextlib
import json
import logging
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMESPACE = "satbox"
CLUSTER_SECONDS_MAX = 120.0
"""How long a gate waits for the cluster, and for its actors: they are started beside it."""
LOOK_SECONDS = 0.02
RAY_START = Path(__file__).with_name("ray_start")
OBJECT_STORE_BYTES = 80 << 20
"""Ray's least. Bytes never travel over Ray here, only small commands."""


def prepare(token_path: Path) -> None:
    """Set what Ray reads from the environment. It reads some of it when it is imported, so this comes first of all."""
    if "ray" in sys.modules and os.environ.get("RAY_AUTH_TOKEN_PATH") != str(token_path):
        raise RuntimeError("Ray was imported before its environment was prepared")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # under `uv run` workers hang otherwise
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(token_path)
    # Ray's memory monitor kills the newest worker first: that may be the process that holds money. The kernel and the
    # sandboxes' own limits decide instead.
    os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    # Ray's workers are nice to others by 15, and would wait behind every tenant's command: here they are what holds the money.
    os.environ.setdefault("RAY_worker_niceness", "0")
    # One machine: every part of Ray binds to loopback. (Asked for 127.0.0.1 by `_node_ip_address`, Ray takes the machine's
    # outward address all the same and listens on every interface; this switch, named after other systems, does it.)
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")


def start_cluster(home: Path, token_path: Path, *, actors: int = 1) -> str:
    """Start a cluster of this one machine that dies with this process; returns its address, also kept for others. Ray starts
    processes for so many `actors` before they are asked for.
    """
    global _head
    prepare(token_path)
    import ray
    from ray._private.parameter import RayParams

    (home / "run").mkdir(parents=True, exist_ok=True)
    forget_cluster(home)
    _head = _head_of(
        RayParams(
            num_cpus=max(2, os.cpu_count() or 2),
            object_store_memory=OBJECT_STORE_BYTES,
            no_monitor=True,
            include_log_monitor=False,
            worker_path=str(RAY_START / "worker.py"),
        ),
        actors,
    )
    context: Any = ray.init(
        address=_head.gcs_address, namespace=NAMESPACE, logging_level=logging.ERROR, log_to_driver=False
    )
    address = str(context.address_info["gcs_address"])
    _record(home, {"address": address, "session": str(context.address_info["session_dir"]), "open": False})
    return address


def open_cluster(home: Path) -> None:
    """Let gates in: every actor has taken up its work."""
    _record(home, _recorded(home) | {"open": True})


def forget_cluster(home: Path) -> None:
    """Forget an earlier cluster of this home, and delete the folder it left in Ray's temporary folder."""
    _remove_session(home / "run" / "ray.json")
    (home / "run" / "ray.json").unlink(missing_ok=True)


def _record(home: Path, record: dict[str, Any]) -> None:
    temporary = home / "run" / "ray.json.new"
    temporary.write_text(json.dumps(record))
    os.replace(temporary, home / "run" / "ray.json")


def _recorded(home: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((home / "run" / "ray.json").read_text())
    return record


_head: Any = None
"""The cluster that this process started."""


def _head_of(parameters: Any, actors: int) -> Any:
    """A head node with what one machine needs. `ray.init` would start five more processes, which cost CPU at each start
    and at rest: one that adds machines, one that reads logs, one that serves a dashboard, and two agents (see `ray_start.agent`).
    It takes no options for them, so this is what it does inside (Ray 2.60, `ray._private.worker.init`), without them.
    """
    from ray._private.node import Node

    class Head(Node):  # type: ignore[misc]  # Ray is not typed
        def start_api_server(self, **_options: Any) -> None:
            """Nobody looks at Ray's dashboard, and actors do not need it."""

        def start_raylet(self, *arguments: Any, **options: Any) -> None:
            """With agents that do nothing, and workers for all actors at once."""
            with _raylet_started_with(actors):
                super().start_raylet(*arguments, **options)

    return Head(parameters, head=True, shutdown_at_exit=False, spawn_reaper=True, ray_init_cluster=True)


@contextlib.contextmanager
def _raylet_started_with(actors: int) -> Iterator[None]:
    """Ray builds a raylet's command line inside one function: it is changed on its way out of there. An argument that another
    version of Ray does not have is left out, and Ray does then what it does by itself.
    """
    from ray._private import services

    start = services.start_ray_process

    def started(command: list[str], *arguments: Any, **options: Any) -> Any:
        return start(_light_raylet(command, actors), *arguments, **options)

    services.start_ray_process = started
    try:
        yield
    finally:
        services.start_ray_process = start


def _light_raylet(command: list[str], actors: int) -> list[str]:
    given = dict(argument.removeprefix("--").partition("=")[::2] for argument in command[1:])
    instead = {"maximum_startup_concurrency": str(actors), "num_prestart_python_workers": str(actors)}
    for kind in ("dashboard", "runtime_env"):
        agent = given.get(f"{kind}_agent_command")
        if agent is not None:
            needed = [word for word in shlex.split(agent) if word.startswith(("--session-dir=", "--node-id="))]
            standing_in = [sys.executable, "-I", "-S", str(RAY_START / "agent.py"), kind, *needed]
            instead[f"{kind}_agent_command"] = subprocess.list2cmdline(standing_in)
    return [command[0], *(_with(argument, instead) for argument in command[1:])]


def _with(argument: str, instead: dict[str, str]) -> str:
    name = argument.removeprefix("--").partition("=")[0]
    return f"--{name}={instead[name]}" if name in instead else argument


def _remove_session(record: Path) -> None:
    """Delete the folder an earlier cluster of this home left in Ray's temporary folder."""
    try:
        session = Path(json.loads(record.read_text())["session"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if session.name.startswith("session_") and session.parent.name == "ray":
        shutil.rmtree(session, ignore_errors=True)


def join_cluster(home: Path, token_path: Path) -> None:
    """Connect this process to this home's cluster, once that runs. Raises TimeoutError when it does not come."""
    prepare(token_path)
    import ray

    ray.init(
        address=_await_address(home),
        namespace=NAMESPACE,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )


async def await_open(home: Path) -> None:
    """Wait until gates are let in. Raises TimeoutError when that does not come."""
    waiting = _awaited(home, "open")
    while next(waiting) is None:  # noqa: ASYNC110 - another process says so, in a file
        await asyncio.sleep(LOOK_SECONDS)


def _await_address(home: Path) -> str:
    waiting = _awaited(home, "address")
    while (address := next(waiting)) is None:
        time.sleep(LOOK_SECONDS)
    return str(address)


def _awaited(home: Path, name: str) -> Iterator[Any]:
    """What the record says under a name, None until it says something there."""
    give_up = time.monotonic() + CLUSTER_SECONDS_MAX
    while time.monotonic() < give_up:
        try:
            yield _recorded(home).get(name) or None
        except FileNotFoundError:
            yield None
    raise TimeoutError(f"the cluster of {home} did not start within {CLUSTER_SECONDS_MAX:.0f} s")


def stop_cluster(home: Path | None = None) -> None:
    """Let go of the cluster; when this process started it, end it and delete what it kept in the temporary folder."""
    global _head
    import ray

    ray.shutdown()
    if _head is not None:
        _head.kill_all_processes(check_alive=False, allow_graceful=True)
        _head = None
    if home is not None:
        _remove_session(home / "run" / "ray.json")
