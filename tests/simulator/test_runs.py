"""The simulator on the same seeds every time; at night also on new ones, and on seeds that once failed."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.planted import PLANTED

ROOT = Path(__file__).resolve().parents[2]
QUICK = (
    "remainder_lost", "charged_by_own_clock", "billed_after_loss", "mempool_is_money", "arrears_forgiven", "log_not_read",
    "answered_before_logged", "delivered_before_earned",
)  # fmt: skip


def ran(*command: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": "0"}, capture_output=True,
        text=True, check=False, timeout=900,
    )  # fmt: skip
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


def test_the_same_seed_is_the_same_run() -> None:
    first, second = simulated(77, 300), simulated(77, 300)

    assert first["trace"] == second["trace"]
    assert first["trace"] != simulated(78, 300)["trace"]


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
