"""`just bench`: run every measurement, print a table, or one JSON array with --json.

`--quick` takes fewer samples; `--only sandbox,gvisor,wallets,service,calls,malformed_headers,waking,starting` picks parts.
Figures and machine also go to stderr as they come.
"""

import argparse
import asyncio
import importlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path

from bench.figures import Figure, machine
from bench.page import markdown, peers


async def _sandbox(quick: bool) -> list[Figure]:
    from bench import sandbox_behaviour, sandbox_floor, sandbox_transfer

    rows = await sandbox_floor.measure(10 if quick else 100, 5 if quick else 20)
    rows += await sandbox_behaviour.measure(4 if quick else 20, 20 if quick else 100)
    rows += await sandbox_transfer.measure(64 if quick else 1024, 20 if quick else 500)
    figures = [_figure(row) for row in rows]
    p50 = {figure.name: figure.value for figure in figures}
    ratio = p50["create_first_output_cold"] / p50["sandbox_floor"]
    return [*figures, Figure("cold_over_floor", "times", figures[0].n, round(ratio, 2))]


async def _gvisor(quick: bool) -> list[Figure]:
    from bench.sandbox_gvisor import measure

    return [_figure(row) for row in await measure(5 if quick else 20, None)]


def _figure(row: dict[str, object]) -> Figure:
    """A row of the sandbox scripts; their warm_exec is without a gate."""
    name = "warm_exec_node" if row["name"] == "warm_exec" else str(row["name"])
    n, value, note = int(str(row["n"])), float(str(row["value"])), str(row.get("note", ""))
    return Figure(name, str(row["unit"]), n, value, _maybe(row.get("p50")), _maybe(row.get("p95")), note)


def _maybe(value: object) -> float | None:
    return None if value is None else float(str(value))


async def _wallets(quick: bool) -> list[Figure]:
    from bench.wallets import figures

    return await figures(quick=quick)


async def _starting(quick: bool) -> list[Figure]:
    from bench.starting import figures

    return await figures(quick=quick)


async def _on_ray(measure: str, quick: bool) -> list[Figure]:
    """What `figures` of a module measures on a cluster of its own."""
    from satbox.keys import load_keys
    from satbox.ray_cluster import prepare

    home = Path(tempfile.mkdtemp(prefix="sbbench-"))
    try:
        prepare(load_keys(home).ray_token_path)
        module = importlib.import_module(f"bench.{measure}")  # imports Ray, which reads what was prepared
        figures: list[Figure] = await module.figures(home, quick=quick)
        return figures
    finally:
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)


TARGET = Path(__file__).resolve().parents[1] / "design" / "benchmarks.md"

PARTS: dict[str, Callable[[bool], Coroutine[None, None, list[Figure]]]] = {
    "sandbox": _sandbox,
    "gvisor": _gvisor,
    "wallets": _wallets,
    "service": partial(_on_ray, "service"),
    "calls": partial(_on_ray, "calls"),
    "malformed_headers": partial(_on_ray, "malformed_headers"),
    "waking": partial(_on_ray, "waking"),
    "starting": _starting,
}


def _apart(name: str, quick: bool) -> list[Figure]:
    """A part in a process of its own: Ray reads its environment when it is imported, so one process serves one cluster."""
    argv = [sys.executable, "-m", "bench", "--json", "--only", name, *(["--quick"] if quick else [])]
    ended = subprocess.run(argv, stdout=subprocess.PIPE, check=True, cwd=TARGET.parents[1])
    return [Figure(**row) for row in json.loads(ended.stdout)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true", help="also write design/benchmarks.md")
    parser.add_argument("--only", default=",".join(PARTS))
    given = parser.parse_args()
    made: list[Figure] = []
    print(machine(), file=sys.stderr)
    names = given.only.split(",")
    for name in names:
        if len(names) > 1:
            made += _apart(name, given.quick)  # which prints its figures itself
            continue
        part = asyncio.run(PARTS[name](given.quick))
        made += part
        for figure in part:
            print(
                f"{figure.name:28} {figure.value:>14,.3f} {figure.unit:12} n={figure.n} {figure.note}", file=sys.stderr
            )
    if any(figure.name.startswith("create_first_output") for figure in made):
        print("\n".join(peers(made)), file=sys.stderr)
    if given.write:
        TARGET.write_text(markdown(made, TARGET.read_text() if TARGET.exists() else ""))
    if given.json:
        print(json.dumps([figure.row() for figure in made]))


if __name__ == "__main__":
    main()
