"""Ray's worker, started light."""

import sys

del sys.path[0]  # this folder, which Python puts there for a script

import runpy  # noqa: E402

from operations import light  # noqa: E402

if __name__ == "__main__":
    light.start()
    runpy.run_module("ray._private.workers.default_worker", run_name="__main__", alter_sys=True)
