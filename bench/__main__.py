"""`just bench`: run every measurement, print a table, or one JSON array with --json.

`--quick` takes fewer samples; `--only sandbox,gvisor,wallets,service,calls,malformed_headers,waking` picks parts.
Figures and machine also go to stderr as they come.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import Figure, machine
from bench.wallets import SEED


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


async def _service(quick: bool) -> list[Figure]:
    from satbox.keys import load_keys
    from satbox.ray_cluster import prepare

    home = Path(tempfile.mkdtemp(prefix="sbbench-"))
    try:
        prepare(load_keys(home).ray_token_path)
        from bench.service import figures  # imports Ray

        return await figures(home, quick=quick)
    finally:
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)


async def _calls(quick: bool) -> list[Figure]:
    from satbox.keys import load_keys
    from satbox.ray_cluster import prepare

    home = Path(tempfile.mkdtemp(prefix="sbbench-"))
    try:
        prepare(load_keys(home).ray_token_path)
        from bench.calls import figures  # imports Ray

        return await figures(home, quick=quick)
    finally:
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)


async def _malformed_headers(quick: bool) -> list[Figure]:
    from satbox.keys import load_keys
    from satbox.ray_cluster import prepare

    home = Path(tempfile.mkdtemp(prefix="sbbench-"))
    try:
        prepare(load_keys(home).ray_token_path)
        from bench.malformed_headers import figures  # imports Ray

        return await figures(home, quick=quick)
    finally:
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)


async def _waking(quick: bool) -> list[Figure]:
    from satbox.keys import load_keys
    from satbox.ray_cluster import prepare

    home = Path(tempfile.mkdtemp(prefix="sbbench-"))
    try:
        prepare(load_keys(home).ray_token_path)
        from bench.waking import figures  # imports Ray

        return await figures(home, quick=quick)
    finally:
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)


TARGET = Path(__file__).resolve().parents[1] / "design" / "benchmarks.md"

MARKS = {
    "create_first_output": ("<=", 60),
    "warm_exec": ("<=", 5),
    "create_first_output_warm": ("<=", 8),
    "cold_over_floor": ("<=", 1.6),
    "warm_exec_node": ("<=", 2),
    "burst_100_median": ("<=", 350),
    "rss_500_sandboxes": ("<=", 4096),
    "wake_100mb": ("<=", 500),
    "file_in_over_hop": (">=", 70),
    "file_out_over_hop": (">=", 70),
    "neighbour_cost_cpu": ("<", 10),
    "neighbour_cost_memory": ("<", 10),
    "neighbour_cost_fork": ("<", 10),
    "status_rps": (">=", 8_000),
    "proxy_rps_bucket": (">=", 2_000),
    "proxy_added_ms": ("<=", 2),
    "activation": ("<=", 7),
    "alive_10000_cpu": ("<", 2),
    "malformed_headers_p95_ratio": ("<=", 2),
    "malformed_headers_rss_growth": ("<", 20),
}
"""First marks: what a figure must reach."""


def markdown(figures: list[Figure], earlier: str = "") -> str:
    """The page of measurements. Rows of an `earlier` page that were not measured again stay."""
    measured = {figure.name for figure in figures}
    kept = [line for line in earlier.splitlines() if line.startswith("| `") and line.split("`")[1] not in measured]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    lines = [
        "# Benchmarks",
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d} on {machine()}, by `./dev bench --write`; seed {SEED}.",
        f"Load average at the end (1, 5, 15 minutes, other work included): {load}. Rows that this run did not measure are an",
        "earlier one's. The load, the service and the sandboxes share the machine. Latencies are in milliseconds.",
        "",
        "| figure | value | unit | p50 | p95 | n | mark | note |",
        "|---|---:|---|---:|---:|---:|---|---|",
    ]
    for figure in figures:
        mark = ""
        if figure.name in MARKS:
            sign, limit = MARKS[figure.name]
            met = {"<=": figure.value <= limit, "<": figure.value < limit, ">=": figure.value >= limit}[sign]
            mark = f"{sign} {limit:,} {'met' if met else 'MISSED'}"
        p50, p95 = (("" if x is None else f"{x:,.2f}") for x in (figure.p50, figure.p95))
        lines.append(
            f"| `{figure.name}` | {figure.value:,.2f} | {figure.unit} | {p50} | {p95} | {figure.n:,} | {mark} | {figure.note} |"
        )
    return "\n".join([*lines, *kept, "", *peers(figures), "", NOTES, ""])


PEERS_MS = {"declaw": 42, "Daytona": 186, "E2B": 491, "Cloudflare": 2_056}
"""Create to first command, as their makers publish it."""


def peers(figures: list[Figure]) -> list[str]:
    """Ours beside the peers' published figures, as lines of a table."""
    ours = {figure.name: figure.value for figure in figures}
    rows = [
        ("satbox, warm pool", ours.get("create_first_output_warm")),
        ("satbox, cold", ours.get("create_first_output_cold")),
    ]
    rows += [("satbox, gVisor, cold", ours.get("create_first_output_cold_gvisor")), *PEERS_MS.items()]
    return [
        "| create to first command | ms |",
        "|---|---:|",
        *(f"| {who} | {ms:,.1f} |" for who, ms in rows if ms is not None),
    ]


NOTES = """\
`create_first_output` runs from the moment the wallet has the relay's answer on record to the first output of a command at
the client; `create_first_output_whole` adds the 402, signing, paying and the relay. `warm_exec` is a command through gate,
node and supervisor, `warm_exec_node` the same without the gate. `sandbox_floor` is bare bubblewrap with Python printing a
line, nothing prepared and nothing limited; `cold_over_floor` is a cold create over it. Peers' figures are their makers' own,
on their machines, through their networks; ours begin when the payment is settled, on this machine, without a network.
`file_in_over_hop` and `file_out_over_hop` compare with one plain hop in the same run, an aiohttp server on a unix socket that
writes a body to disk and sends it back.
`status_rps` is one gate process, so one core, answering from snapshots of at most a second. Deposits are answered after
their fsync. `alive_10000_cpu` holds ten thousand alive wallets in one process over a simulated node, one in a hundred
running dry each minute. The `_in_process` figures leave Ray out."""

PARTS = {
    "sandbox": _sandbox, "gvisor": _gvisor, "wallets": _wallets, "service": _service,
    "calls": _calls,
    "malformed_headers": _malformed_headers, "waking": _waking,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true", help="also write design/benchmarks.md")
    parser.add_argument("--only", default=",".join(PARTS))
    given = parser.parse_args()
    made: list[Figure] = []
    print(machine(), file=sys.stderr)
    for name in given.only.split(","):
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
