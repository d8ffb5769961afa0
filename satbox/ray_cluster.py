"""Start and find the Ray cluster: on loopback, guarded by a token, and not in the way of the OOM killer's wrong choice."""

import json
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Any

NAMESPACE = "satbox"
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
    # One machine: every part of Ray binds to loopback. (Asked for 127.0.0.1 by `_node_ip_address`, Ray takes the machine's
    # outward address all the same and listens on every interface; this switch, named after other systems, does it.)
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")


def start_cluster(home: Path, token_path: Path) -> str:
    """Start a cluster of this one machine that dies with this process; returns its address, also kept for others."""
    global _head
    prepare(token_path)
    import ray
    from ray._private.parameter import RayParams

    run = home / "run"
    run.mkdir(parents=True, exist_ok=True)
    _remove_session(run / "ray.json")
    _head = _head_of(
        RayParams(
            num_cpus=max(2, os.cpu_count() or 2),
            object_store_memory=OBJECT_STORE_BYTES,
            no_monitor=True,
            include_log_monitor=False,
        )
    )
    context: Any = ray.init(
        address=_head.gcs_address, namespace=NAMESPACE, logging_level=logging.ERROR, log_to_driver=False
    )
    address = str(context.address_info["gcs_address"])
    temporary = run / "ray.json.new"
    temporary.write_text(json.dumps({"address": address, "session": str(context.address_info["session_dir"])}))
    os.replace(temporary, run / "ray.json")
    return address


_head: Any = None
"""The cluster that this process started."""


def _head_of(parameters: Any) -> Any:
    """A head node with what one machine needs. `ray.init` would start three more processes, which cost CPU at each start
    and at rest: one that adds machines, one that reads logs, and one that serves a dashboard. It takes no options for them, so
    this is what it does inside (Ray 2.60, `ray._private.worker.init`), without them.
    """
    from ray._private.node import Node

    class Head(Node):  # type: ignore[misc]  # Ray is not typed
        def start_api_server(self, **_options: Any) -> None:
            """Nobody looks at Ray's dashboard, and actors do not need it."""

    return Head(parameters, head=True, shutdown_at_exit=False, spawn_reaper=True, ray_init_cluster=True)


def _remove_session(record: Path) -> None:
    """Delete the folder an earlier cluster of this home left in Ray's temporary folder."""
    try:
        session = Path(json.loads(record.read_text())["session"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if session.name.startswith("session_") and session.parent.name == "ray":
        shutil.rmtree(session, ignore_errors=True)


def join_cluster(home: Path, token_path: Path) -> None:
    """Connect this process to the running cluster."""
    prepare(token_path)
    import ray

    address = json.loads((home / "run" / "ray.json").read_text())["address"]
    ray.init(
        address=address,
        namespace=NAMESPACE,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )


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
