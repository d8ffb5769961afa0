"""One log configuration in every process, and no local variable in any log."""

import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("actors", "devnet", "gate", "oracle", "relay_client", "sandboxes", "satbox")
NOT_PROCESSES = {
    "gate/genesis/example.py",  # run by people, by hand
    "satbox/generate.py",
    "satbox/ray_start/agent.py",  # says nothing at all
    "satbox/ray_start/worker.py",  # becomes an actor, whose constructor configures
}
FAIL = """
import structlog
class Sealed:
    def __call__(self, passphrase):
        raise OSError('broken')
def fail():
    passphrase = 'l0cal-s3cret'
    Sealed()(passphrase)
try: fail()
except OSError:
    structlog.get_logger().exception('event.failed')
    structlog.get_logger().debug('event.debug')
"""
STARTS = {
    "hosts": "from actors.on_ray.host import HostProcess; HostProcess('host-0', type('Spec', (), {'settlements': 1}), id)",
    "settlements": "from actors.on_ray.settlements_process import SettlementsProcess; SettlementsProcess(None)",
    "oracle": "from actors.on_ray.oracle import OracleProcess; OracleProcess(None)",
    "others": "from operations import logs; logs.configure()",
}


def sources() -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): path.read_text() for part in PARTS for path in sorted((ROOT / part).rglob("*.py"))
    }


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_logged_failure_shows_no_local_variables(start: str) -> None:
    ended = subprocess.run([sys.executable, "-c", start + "\n" + FAIL], capture_output=True, text=True, check=True)

    assert "OSError: broken" in ended.stderr
    assert "l0cal-s3cret" not in ended.stderr + ended.stdout
    assert "event.debug" not in ended.stderr + ended.stdout
    assert ended.stdout == ""


def test_every_process_uses_this_configuration_and_none_has_one_of_its_own() -> None:
    starting = {
        name: text
        for name, text in sources().items()
        if re.search(r'^if __name__ == "__main__"|^class \w+Process:|^async def run_(up|demo)\(', text, re.MULTILINE)
        and name not in NOT_PROCESSES
    }

    assert {"devnet/__main__.py", "actors/on_ray/oracle.py", "satbox/up.py"} <= starting.keys()
    assert [name for name, text in starting.items() if "logs.configure(" not in text] == []
    assert [name for name, text in sources().items() if re.search(r"basicConfig\(|structlog\.configure\(", text)] == []


FULL_LOG = """
import logging, sys, structlog
from operations import logs
logs.configure()
log = structlog.get_logger()
try: raise ValueError('first')
except ValueError: log.exception('event.before')
print('full', flush=True)
sys.stdin.readline()
for number in range(3):
    try: raise ValueError('lost')
    except ValueError: log.exception('event.lost')
    logging.getLogger('part').warning('lost too')
print('survived', flush=True)
sys.stdin.readline()
log.error('event.after')
"""


def fill(path: Path, piece: bytes) -> None:
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(piece)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_behind_the_log_fails_nothing_and_is_said_afterwards(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "satbox-test", tmp_path], check=True)
    argv, pipe = [sys.executable, "-c", FULL_LOG], subprocess.PIPE
    try:
        with (tmp_path / "log").open("ab") as file:
            process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=file, text=True, cwd=ROOT)
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == "full\n"
            fill(tmp_path / "filler", bytes(4096))
            fill(tmp_path / "log", b"\n")  # its last block
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "survived\n"
            (tmp_path / "filler").unlink()
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.wait() == 0
        text = (tmp_path / "log").read_text()
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)
    assert "event.before" in text
    assert "6 log lines could not be written" in text
    assert "event.after" in text


HOSTILE_LOG = r"""
import logging, structlog
from operations import logs
logs.configure()
hostile = '\x1b]52;c;ZXZpbA==\x07\x9b2J\u202e'
structlog.get_logger().warning('event.odd', name=hostile, nested={'name': hostile})
logging.getLogger('part').warning('said %s', hostile)
try: raise OSError(hostile)
except OSError: structlog.get_logger().exception('event.failed')
"""


def test_nothing_that_is_logged_commands_the_operators_terminal() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", HOSTILE_LOG], stderr=theirs, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how a terminal says that nobody is left on the other side
            while piece := os.read(ours, 65_536):
                shown += piece
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())  # the renderer's own colours
    assert process.returncode == 0, text
    assert text.count("ZXZpbA==") == 4
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", text)
