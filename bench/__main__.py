"""`just bench`: run every measurement, print a table, or one JSON array with --json.

`--quick` takes fewer samples; `--only sandbox,wallets,service` picks parts. Figures and machine also go to stderr as they come.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path

from bench.figures import Figure, machine


async def _sandbox(quick: bool) -> list[Figure]:
    from bench.sandbox_floor import measure

    rows = await measure(10 if quick else 50, 5 if quick else 20)
    return [
        Figure(
            str(row["name"]) if row["name"] != "warm_exec" else "warm_exec_node",
            str(row["unit"]),
            int(str(row["n"])),
            float(str(row["value"])),
            _maybe(row.get("p50")),
            _maybe(row.get("p95")),
            str(row.get("note", "")),
        )
        for row in rows
    ]


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


PARTS = {"sandbox": _sandbox, "wallets": _wallets, "service": _service}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
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
    if given.json:
        print(json.dumps([figure.row() for figure in made]))


if __name__ == "__main__":
    main()
