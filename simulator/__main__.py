"""`python -m simulator --seed N --steps M`: a table for people, JSON for machines; exit 1 when something was found."""

import argparse
import json
import secrets
import sys

from relay_client.settlements import SettleRoute
from simulator.run import simulate


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run one seed, or several after one another."""
    parser = argparse.ArgumentParser(
        prog="simulator", description="the whole service on a virtual clock, from one seed"
    )
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, printed")
    parser.add_argument("--steps", type=int, default=5_000)
    parser.add_argument("--wallets", type=int, default=60)
    parser.add_argument("--runs", type=int, default=1, help="consecutive seeds")
    parser.add_argument("--route", type=SettleRoute, choices=list(SettleRoute), default=SettleRoute.RELAY_THEN_DIRECT)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    first = secrets.randbelow(10**9) if options.seed is None else options.seed
    failed = 0
    for seed in range(first, first + options.runs):
        report = simulate(seed, options.steps, wallets=options.wallets, route=options.route)
        failed += not report.is_clean
        if options.json:
            _say(json.dumps(report.as_dict()))
        else:
            _say(
                f"seed {seed}: {report.steps} steps, {report.virtual_seconds} s simulated in {report.wall_seconds} s, "
                f"{report.payments} payments, {report.paid_calls} paid calls, {report.commits} commits, "
                f"{report.entries} entries: " + ("clean" if report.is_clean else f"{len(report.violations)} violations")
            )
            for violation in report.violations:
                _say(f"  {violation}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
