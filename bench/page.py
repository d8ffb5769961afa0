"""The page of measurements, `design/benchmarks.md`: figures, the marks they are held to, and ours beside the peers'."""

import os
from datetime import UTC, datetime

from bench.figures import Figure, machine
from bench.wallets import SEED

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
    return "\n".join([*lines, *kept, "", *peers(figures, earlier), "", NOTES, ""])


PEERS_MS = {"declaw": 42, "Daytona": 186, "E2B": 491, "Cloudflare": 2_056}
"""Create to first command, as their makers publish it."""


PEERS_HEAD = "| create to first command | ms |"
OURS = {
    "satbox, warm pool": "create_first_output_warm",
    "satbox, cold": "create_first_output_cold",
    "satbox, gVisor, cold": "create_first_output_cold_gvisor",
}


def peers(figures: list[Figure], earlier: str = "") -> list[str]:
    """Ours beside the peers' published figures, as lines of a table. What was not measured again is as on an `earlier` page."""
    measured = {figure.name: figure.value for figure in figures}
    before = _earlier_peers(earlier)
    rows = [(who, measured.get(name, before.get(who))) for who, name in OURS.items()]
    return [
        PEERS_HEAD,
        "|---|---:|",
        *(f"| {who} | {ms:,.1f} |" for who, ms in [*rows, *PEERS_MS.items()] if ms is not None),
    ]


def _earlier_peers(page: str) -> dict[str, float]:
    """Who took how long, by the table of an earlier page."""
    table = page.partition(PEERS_HEAD)[2].strip().partition("\n\n")[0]
    cells = [line.strip("|").split("|") for line in table.splitlines()]
    return {who.strip(): float(ms.replace(",", "")) for who, ms in cells if who.strip() in OURS}


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
