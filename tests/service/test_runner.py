"""The service under test ends with the tests, also when those are killed."""

import os
import select
import signal
import subprocess
import sys

SECONDS_MAX = 120
MIDDLE = """
import os, subprocess, sys, time
runner = subprocess.Popen([sys.executable, "-m", "tests.service.runner", str(os.getpid())], stdin=0, start_new_session=True)
print(runner.pid, flush=True)
time.sleep(600)
"""


def test_a_service_ends_with_the_process_that_started_it() -> None:
    settings, held_open = os.pipe()  # a pipe without end: nothing but its parent's end can end the runner
    middle = subprocess.Popen([sys.executable, "-c", MIDDLE], stdin=settings, stdout=subprocess.PIPE)
    assert middle.stdout is not None
    runner = int(middle.stdout.readline())
    watched = os.pidfd_open(runner)

    middle.send_signal(signal.SIGTERM)
    middle.wait(SECONDS_MAX)

    ended, _, _ = select.select([watched], [], [], SECONDS_MAX)
    try:
        assert ended
    finally:
        if not ended:
            os.kill(runner, signal.SIGKILL)
        for fd in (settings, held_open, watched):
            os.close(fd)
        middle.stdout.close()
