"""`python -m tests.service.runner`: the whole service as `satbox up` runs it, with settings from one JSON document on stdin."""

import asyncio
import sys


def main() -> None:
    from satbox.settings import Settings
    from satbox.up import run_up

    asyncio.run(run_up(Settings.model_validate_json(sys.stdin.read())))


if __name__ == "__main__":
    main()
