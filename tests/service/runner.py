"""`python -m tests.service.runner PARENT`: the whole service as `satbox up` runs it, with settings from one JSON document on
stdin. It ends when the process PARENT does, however that ends.
"""

import asyncio
import signal
import sys

from sandboxes.spawner.kernel import die_with_parent


def main() -> None:
    die_with_parent(int(sys.argv[1]), signal.SIGTERM)
    from satbox.settings import Settings
    from satbox.up import run_up

    asyncio.run(run_up(Settings.model_validate_json(sys.stdin.read())))


if __name__ == "__main__":
    main()
