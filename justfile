# satbox: `./dev RECIPE` sets everything up and runs one of these.
set shell := ["bash", "-eu", "-o", "pipefail", "-c"]
set positional-arguments := true

# list the recipes
default:
    @just --list

# run the whole story on the embedded devnet and print it (--json, --placement dedicated)
demo *options:
    @satbox demo "$@"

# run the service until Ctrl-C: gate on 127.0.0.1:4020, devnet beside it
up *options:
    @satbox up "$@"

# the whole test suite
test *options: node-packages sandbox-packages browser-packages
    # One more than two cores: a test that waits for a chain or a deadline leaves its core to another.
    pytest -n 3 --no-loadscope-reorder "$@"

# style and import directions
lint:
    ruff format --check .
    ruff check .
    lint-imports

# strict types
types:
    mypy

# measure; one JSON array with --json
bench *options:
    @python -m bench "$@"

# the long tests
nightly *options: node-packages sandbox-packages browser-packages site-packages
    pytest -m nightly "$@"

# the whole service on a virtual clock, from one seed (--seed N --steps M)
simulate *options:
    @python -m simulator "$@"

# all that CI runs
check: lint types test

# the unmodified Node clients and codecs that tests compare with, and the servers that they put behind the gate
node-packages:
    @tests/node/install
    @tests/gate/install

# what the tests of the second driver and of images need
sandbox-packages:
    @tests/sandboxes/install

# the browser that tests of pages drive
browser-packages:
    @tests/pages/install

# the servers that long tests run inside a sandbox and open in a browser
site-packages:
    @tests/pages/sites/install

# bundle what pages take from npm into gate/pages/assets (--check compares with what is committed)
assets *options:
    cd web && { cmp -s package-lock.json node_modules/.installed-lock || { npm ci --silent --install-links && cp package-lock.json node_modules/.installed-lock; }; }
    cd web && node build.mjs "$@"

# build a boot image into SATBOX_HOME (python, node, agent)
image name *options: sandbox-packages
    @satbox images build "$@"

# renew requirements.lock from pyproject.toml
lock:
    uv pip compile -q --generate-hashes --no-header --no-annotate --universal --python-version 3.11 --extra server --group dev pyproject.toml -o requirements.lock
