"""The simulator on the same seeds every time; at night also on new ones, and on seeds that once failed."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.planted import PLANTED

ROOT = Path(__file__).resolve().parents[2]
QUICK = (
    "remainder_lost", "charged_by_own_clock", "billed_after_loss", "mempool_is_money", "arrears_forgiven", "log_not_read",
    "answered_before_logged", "delivered_before_earned",
)  # fmt: skip


def ran(*command: str, **environment: str) -> dict[str, Any]:
    return said_by(sys.executable, "-m", *command, **environment)


def said_by(*command: str, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.stdout, done.stderr[-2000:]
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def simulated(seed: int, steps: int) -> dict[str, Any]:
    return ran("simulator", "--seed", str(seed), "--steps", str(steps), "--json")


@pytest.mark.parametrize("number", range(2))
def test_a_seed_runs_clean(number: int) -> None:
    report = simulated(963_576_926 + number, 1_000)

    assert report["violations"] == [], f"just simulate --seed {report['seed']} --steps {report['steps']}"
    assert report["steps"] == 1_000
    assert report["entries"] > 30


@pytest.mark.parametrize("route", ["direct", "relay"])
@pytest.mark.parametrize("steps", [300, pytest.param(4_000, marks=pytest.mark.nightly)])
def test_every_settle_route_runs_clean(route: str, steps: int) -> None:
    report = ran("simulator", "--seed", "20261130", "--steps", str(steps), "--route", route, "--json")

    assert report["violations"] == [], f"just simulate --seed 20261130 --steps {steps} --route {route}"
    assert report["payments"] > steps // 20


VARIED = """
import gc, json, sys
from simulator.run import simulate
how, seed, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if how == "never":
    gc.disable()
elif how != "ever":
    gc.set_threshold(int(how), 3, 3)
kept = [bytearray(n % 977) for n in range(len(how) * 10_000)]  # ids of objects, and what is next to them, are others
sys.stdout.write(json.dumps(simulate(seed, steps).as_dict()) + chr(10))
"""
VARIATIONS = (
    ("ever", {"PYTHONHASHSEED": "0"}),
    ("never", {"PYTHONHASHSEED": "1"}),
    ("7", {"PYTHONHASHSEED": "2", "PYTHONMALLOC": "malloc"}),
    ("700", {"PYTHONHASHSEED": "random", "PYTHONMALLOC": "debug"}),
)
"""How often the collector runs, and what the interpreter is started with."""


def histories(seed: int, steps: int) -> set[str]:
    return {
        said_by(sys.executable, "-c", VARIED, how, str(seed), str(steps), **environment)["history"]
        for how, environment in VARIATIONS
    }


def test_a_seed_is_one_history_whatever_the_interpreter_does() -> None:
    found = histories(77, 120)

    assert len(found) == 1
    assert int(found.pop().partition(":")[0]) > 500, "events are in it"
    assert simulated(78, 20)["history"] != simulated(79, 20)["history"]


@pytest.mark.nightly
@pytest.mark.parametrize("seed", [5, 20, 963_576_926])
def test_a_long_run_is_one_history(seed: int) -> None:
    assert len(histories(seed, 4_000)) == 1


@contextlib.contextmanager
def busy() -> Iterator[None]:
    """Twice as many endless loops as the machine has cores."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
        for loop in loops:
            loop.wait()


def stopped_often(seed: int, steps: int) -> str:
    """The history of a run that a busy machine leaves without a core again and again, each time for longer than it ran."""
    command = (sys.executable, "-m", "simulator", "--seed", str(seed), "--steps", str(steps), "--json")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        while run.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(0.05)
            run.send_signal(signal.SIGSTOP)
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(0.1)
            run.send_signal(signal.SIGCONT)
        assert run.stdout is not None
        return str(json.loads(run.stdout.read().splitlines()[-1])["history"])


@pytest.mark.nightly
@pytest.mark.parametrize(("seed", "steps"), [(77, 300), (963_576_926, 1_000)])
def test_a_seed_is_one_history_whatever_the_machine_s_load(seed: int, steps: int) -> None:
    alone = simulated(seed, steps)["history"]
    with busy():
        beside = simulated(seed, steps)["history"]
        stopped = stopped_often(seed, steps)

    assert beside == alone
    assert stopped == alone


REGRESSIONS = {
    "charged past a node's restart": (5, 3_000),
    "an outage whose end could not be written": (20, 3_000),
    "two copies of one wallet": (32, 1_500),
    "an old host that ended what a new one owned": (710_000, 6_000),
    "a reversal that waited for a clock to catch up": (810_021, 10_000),
    "a payment that waited for a clock to catch up": (963_576_926, 1_000),
    "a watch that a clock set forward ended": (3, 3_000),
    "a reserve that came after what gave it back": (11, 3_000),
}


@pytest.mark.nightly
@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_seed_that_once_failed(name: str) -> None:
    seed, steps = REGRESSIONS[name]

    assert simulated(seed, steps)["violations"] == []


@pytest.mark.nightly
@pytest.mark.parametrize("number", range(20))
def test_long_runs_are_clean(number: int) -> None:
    report = simulated(secrets.randbelow(10**9), 12_000)

    assert report["violations"] == [], f"just simulate --seed {report['seed']} --steps {report['steps']}"


def found(name: str) -> tuple[int, list[str]]:
    """How many steps it took, seed after seed, and what was said of it."""
    steps, most = 0, PLANTED[name][1]
    for seed in range(1, 100):
        report = ran("tests.simulator.planted", name, str(seed), str(min(3_000, most - steps)))
        steps += report["steps"]
        if report["violations"] or steps >= most:
            return steps, report["violations"]
    raise AssertionError("unreachable")


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found_quickly(name: str) -> None:
    steps, violations = found(name)

    assert violations, f"{name} was not found in {steps} steps"


@pytest.mark.nightly
@pytest.mark.parametrize("name", sorted(set(PLANTED) - set(QUICK)))
def test_a_planted_bug_is_found(name: str) -> None:
    steps, violations = found(name)

    assert violations, f"{name} was not found in {steps} steps"
