"""What pages are made of: bundles that match their sources, names that change with their content, markup that always escapes."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.pages.assets import FOLDER, Assets
from gate.pages.markup import Html, el

WEB = Path(__file__).parents[2] / "web"
BUDGET_BYTES = 60_000
PAGES = {
    "wake": ("style.css", "wake.js"),
    "front": ("style.css", "front.css", "front.js"),
    "dashboard": ("style.css", "dashboard.css", "dashboard.js"),
    "agent": ("style.css", "dashboard.css", "xterm.css", "agent.css", "agent.js"),
}


def test_the_committed_bundles_are_the_ones_that_were_built_from_these_sources() -> None:
    told = json.loads((FOLDER / "bundles.json").read_text())
    digest = hashlib.sha256()
    for name in told["sources"]:
        digest.update(name.encode() + b"\0" + (WEB / name).read_bytes() + b"\0")

    assert told["sources_sha256"] == digest.hexdigest(), "web/ changed: run `just assets`"
    for name, sha256 in told["sha256"].items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == sha256, name


def test_building_again_makes_the_same_bundles() -> None:
    if not (WEB / "node_modules" / ".installed-lock").exists():
        pytest.skip("needs the npm packages: just assets")

    made = subprocess.run(["node", "build.mjs", "--check"], cwd=WEB, capture_output=True, text=True, timeout=60)

    assert made.returncode == 0, made.stderr


def test_every_bundled_package_has_its_licence_beside_it() -> None:
    text = (FOLDER / "LICENCES.txt").read_text()

    for package in ("@stacks/connect 8.2.7", "@stacks/transactions 7.6.0", "@xterm/xterm 6.0.0"):
        assert package in text


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_little_before_a_wallet_or_a_terminal_is_wanted(page: str) -> None:
    assert Assets().bytes_of(*PAGES[page]) < BUDGET_BYTES


def test_a_change_renames_a_file_and_every_module_that_leads_to_it(tmp_path: Path) -> None:
    (tmp_path / "outer.js").write_text('import { x } from "./inner.js";\n')
    (tmp_path / "inner.js").write_text("export const x = 1;\n")
    (tmp_path / "other.js").write_text("export const y = 1;\n")
    before = Assets(tmp_path)
    (tmp_path / "inner.js").write_text("export const x = 2;\n")
    after = Assets(tmp_path)

    assert before.url("outer.js") != after.url("outer.js")
    assert before.url("inner.js") != after.url("inner.js")
    assert before.url("other.js") == after.url("other.js")
    assert after.url("inner.js").encode() in after.served[after.url("outer.js").removeprefix("/assets/")].body


def test_modules_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text('import "./b.js";\n')
    (tmp_path / "b.js").write_text('import "./a.js";\n')

    with pytest.raises(ValueError, match="circle"):
        Assets(tmp_path)


@given(st.text(), st.text())
def test_no_text_gets_out_of_its_place(text: str, attribute: str) -> None:
    made = el("p", text, title=attribute).text

    inside = made.removeprefix('<p title="').removesuffix("</p>")
    assert inside.count('"') == 1
    assert inside.count(">") == 1
    assert "<" not in inside


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "//elsewhere", "data:text/html,x", " javascript:x", "JaVaScRiPt:x"]
)
def test_a_link_leads_nowhere_strange(address: str) -> None:
    with pytest.raises(ValueError, match="does not begin"):
        el("a", "x", href=address)


def test_children_keep_their_order_and_nothing_is_nothing() -> None:
    assert (
        el("p", None, [Html("<b></b>"), ["<", 1]], hidden=True, id=None, x=False).text == "<p hidden><b></b>&lt;1</p>"
    )
