"""What Ray runs in place of its own worker script and agents, and how gates wait for a cluster that is being started."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
import ray

from satbox import ray_cluster
from satbox.ray_cluster import RAY_START, await_open, forget_cluster
from tests.service.running_service import processes


def commands_below_the_raylet() -> list[str]:
    """What the raylet of this process's cluster has started."""
    alive = processes()
    raylet = next(p.pid for p in alive.values() if p.parent == os.getpid() and "/raylet/raylet " in p.command)
    return [process.command for process in alive.values() if process.parent == raylet]


@pytest.mark.ray
@pytest.mark.usefixtures("ray_home")
def test_no_agent_of_rays_runs_and_their_ports_answer_nobody() -> None:
    commands = commands_below_the_raylet()
    assert sum("ray_start/agent.py" in command for command in commands) == 2
    assert not any("dashboard/agent.py" in command or "runtime_env/agent" in command for command in commands)
    node = next(node for node in ray.nodes() if node["Alive"])
    assert node["MetricsAgentPort"] == -1
    assert node["RuntimeEnvAgentPort"] > 0
    address = ("127.0.0.1", node["RuntimeEnvAgentPort"])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind(address)  # or it would be sent the cluster's token


@pytest.mark.ray
@pytest.mark.usefixtures("ray_home")
def test_an_actor_runs_at_the_same_priority_as_everything_else() -> None:
    @ray.remote(num_cpus=0)
    def niceness() -> tuple[int, bool]:
        return os.nice(0), "requests" in sys.modules and "urllib3" in sys.modules

    found, has_loaded_requests = ray.get(niceness.remote())
    assert found == os.nice(0)
    assert not has_loaded_requests


async def test_an_agents_stand_in_ends_with_its_raylet(tmp_path: Path) -> None:
    argv = [sys.executable, "-I", "-S", str(RAY_START / "agent.py"), "dashboard", f"--session-dir={tmp_path}"]
    agent = await asyncio.create_subprocess_exec(*argv, "--node-id=n1", stdin=asyncio.subprocess.PIPE)
    assert agent.stdin is not None
    agent.stdin.close()
    async with asyncio.timeout(30):
        assert await agent.wait() == 0
    names = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port")
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}  # noqa: ASYNC240 - a test
    assert written == {f"{name}_n1": "-1" for name in names}


def test_a_command_of_another_version_of_ray_stays_as_it_is() -> None:
    command = ["raylet", "--node_id=1", "--head", "--something_new=a=b"]
    assert ray_cluster._light_raylet(command, 4) == command


async def test_a_gate_waits_until_the_actors_have_taken_up_their_work(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    waiting = asyncio.ensure_future(await_open(tmp_path))
    ray_cluster._record(tmp_path, {"address": "127.0.0.1:1", "session": "", "open": False})
    done, _ = await asyncio.wait([waiting], timeout=5 * ray_cluster.LOOK_SECONDS)
    assert not done
    ray_cluster.open_cluster(tmp_path)
    async with asyncio.timeout(10):
        await waiting
    assert ray_cluster._await_address(tmp_path) == "127.0.0.1:1"


async def test_a_cluster_that_does_not_come_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "CLUSTER_SECONDS_MAX", 0.05)
    with pytest.raises(TimeoutError, match="did not start"):
        await await_open(tmp_path)


async def test_the_record_of_an_earlier_cluster_lets_no_gate_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ray.json").write_text(json.dumps({"address": "127.0.0.1:1", "session": "/x", "open": True}))
    forget_cluster(tmp_path)
    monkeypatch.setattr(ray_cluster, "CLUSTER_SECONDS_MAX", 0.05)
    with pytest.raises(TimeoutError):
        await await_open(tmp_path)


async def test_a_gate_that_waits_for_its_cluster_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    from satbox.settings import Settings

    settings = Settings(home=tmp_path).model_dump_json()
    gate = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "operations.light", "satbox.gate_process", stdout=asyncio.subprocess.PIPE,
        env=dict(os.environ) | {"SATBOX_GATE_SETTINGS": settings},
    )  # fmt: skip
    keys = tmp_path / "keys" / "ray.token"
    async with asyncio.timeout(60):
        while not keys.exists():
            await asyncio.sleep(0.02)
        gate.send_signal(signal.SIGTERM)
        assert await gate.wait() in (0, -signal.SIGTERM)
