"""Amounts and times as pages say them."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.pages import closed_page, words
from operations.errors import ERRORS, SatboxError
from operations.plain_text import harmless
from satbox.cli.books.books_tables import ledger_amount
from satbox.cli.short_texts import reference_text

ASSETS = Path(words.__file__).parent / "assets"
POSTINGS: tuple[dict[str, int], ...] = (
    {"bucket": -7_000, "burnt": 7_000},
    {"bucket": 0, "owed": -7_000, "burnt": 7_000},
    {"owed": -7_000, "burnt": 7_000},
    {"bucket": -3_000, "owed": -4_000, "burnt": 7_000},
    {"bucket": 3_000, "owed": 4_000, "deposits": -7_000},
    {"bucket": -4_000, "owed": 4_000},
    {"reserved": 5, "spent": -5},
)
"""Charges from credit, in grace, and across its beginning; a deposit; a debt that is settled; what is none of the wallet's."""


@given(st.integers(-(10**15), 10**15))
def test_an_amount_is_never_shown_as_more_than_it_is(usat: int) -> None:
    shown = float(words.sats(usat).replace(",", ""))

    assert abs(shown) <= abs(usat) / 1e6 + 1e-6
    assert abs(abs(shown) - abs(usat) / 1e6) < 0.01 + 1e-6


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (725, "12 min 5 s"),
        (3_600, "1 h"),
        (93_600, "1 d 2 h"),
        (86_461, "1 d 1 min"),
        (-5, "0 s"),
    ],
)
def test_a_duration_names_its_two_largest_units(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("symbol", "units", "text"),
    [
        ("sBTC", 1, "1 sat"),
        ("sBTC", 26_000, "26,000 sats"),
        ("STX", 52_520, "0.05252 STX"),
        ("USDCx", 2_000_000, "2 USDCx"),
    ],
)
def test_a_coin_is_shown_in_its_own_way(symbol: str, units: int, text: str) -> None:
    assert words.coins(symbol, units) == text


@pytest.mark.parametrize(
    ("later_ms", "text"),
    [(0, "just now"), (60_000, "1 minute ago"), (7_300_000, "2 hours ago"), (86_400_000, "1 day ago")],
)
def test_ago_is_the_largest_unit(later_ms: int, text: str) -> None:
    assert words.ago(1_000, 1_000 + later_ms) == text


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_a_browser_shows_an_entry_as_the_command_line_does(tmp_path: Path) -> None:
    """A charge in grace was shown as 0: its entry names the bucket, which does not move."""
    shutil.copyfile(ASSETS / "words.js", tmp_path / "words.mjs")
    amounts = [-7_000, -1, 0, 1, 999_999, 1_234_567_890_123, -1_500_000, 75_600_000, *range(0, 10**9, 10_000_007)]
    script = (
        f'import {{ moved, sats, signed }} from "{tmp_path}/words.mjs";'
        f"console.log(JSON.stringify([{json.dumps(POSTINGS)}.map(moved), {json.dumps(amounts)}.map((usat) => sats(usat)),"
        f" {json.dumps(amounts)}.map((usat) => signed(usat, 6))]))"
    )
    ran = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, check=True)
    moved, shown, signed = json.loads(ran.stdout)

    assert moved == [ledger_amount(postings) for postings in POSTINGS]
    assert moved[1] == moved[2] == -7_000
    assert [float(text.replace(",", "")) for text in shown] == [
        float(words.sats(usat).replace(",", "")) for usat in amounts
    ]
    assert signed[0].replace("\u2212", "-") == "-0.007000"
    assert signed[3] == "+0.000001"


def shown_in_a_name(letter: str) -> str:
    """As terminals show it, but line ends, tabs and spaces other than the usual one are seen too."""
    if letter in "\n\t":
        return {"\n": "\\n", "\t": "\\t"}[letter]
    if letter.isspace() and letter != " " and harmless(letter) == letter:
        return f"\\u{ord(letter):04x}"
    return harmless(letter)


ASKS = re.compile(r"\b(GET|POST|PUT|DELETE) ?/|(?<=[\s>])/(?!workspace)[a-z]+")


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_a_person_is_not_told_which_request_to_send(code: str) -> None:
    """Hints of errors are for programs. What was reaped is woken at its own page."""
    text = closed_page(SatboxError(code), "req_1", "https://gate.test", "STX1").text or ""

    assert ASKS.search(text.split("<body>")[1]) is None
    if code in ("sandbox_reaped", "credit_insufficient", "wallet_not_found"):
        assert '<a href="https://gate.test/wake/STX1">Wake it' in text
    if code == "sandbox_paused":
        assert "<code>satbox unpause</code>" in text


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_a_browser_hides_the_hints_that_the_gate_hides(tmp_path: Path) -> None:
    for name in ("gate", "words"):
        text = (ASSETS / f"{name}.js").read_text()
        (tmp_path / f"{name}.mjs").write_text(text.replace("./words.js", "./words.mjs"))
    hints = [kind.hint for kind in ERRORS.values()]
    script = (
        f'import {{ hintOf }} from "{tmp_path}/gate.mjs";'
        f"console.log(JSON.stringify({json.dumps(hints)}.map((hint) => hintOf({{ hint }}))))"
    )
    ran = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, check=True)

    assert json.loads(ran.stdout) == [words.hint_for_people(hint) for hint in hints]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_a_browser_names_a_dispute_and_a_time_s_zone(tmp_path: Path) -> None:
    shutil.copyfile(ASSETS / "words.js", tmp_path / "words.mjs")
    references = [None, "pay_1", "7", '{"dispute_id":"dsp_1","about":{"seq":1}}', "null", '{"a":1}']
    script = (
        f'import {{ moment, referenceOf }} from "{tmp_path}/words.mjs";'
        f"console.log(JSON.stringify([{json.dumps(references)}.map((reference) => referenceOf({{ reference }})),"
        ' moment("2026-12-01T03:33:24.123Z")]))'
    )
    ran = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, check=True)
    shown, moment = json.loads(ran.stdout)

    assert shown == ["", "pay_1", "7", "dsp_1", "null", '{"a":1}']
    assert [reference_text(reference) for reference in references] == [None, "pay_1", "7", "dsp_1", "null", '{"a":1}']
    assert moment == "2026-12-01 03:33:24 UTC"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_a_browser_shows_a_name_as_a_terminal_does(tmp_path: Path) -> None:
    shutil.copyfile(ASSETS / "names.js", tmp_path / "names.mjs")
    script = (
        f'import {{ visible }} from "{tmp_path}/names.mjs";'
        "const letters = Array.from({ length: 0x10000 }, (_, code) => String.fromCodePoint(code));"
        'const names = ["  two ", "\\u{1f980}", " "];'
        "console.log(JSON.stringify([letters.map((letter) => visible(`a${letter}b`)), names.map(visible)]))"
    )
    ran = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, check=True)
    letters, names = json.loads(ran.stdout)

    assert [hex(code) for code, text in enumerate(letters) if text != f"a{shown_in_a_name(chr(code))}b"] == []
    assert names == ["\\x20\\x20two\\x20", "\U0001f980", "\\x20"]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_in_grace_a_row_owes_more_as_time_passes(tmp_path: Path) -> None:
    shutil.copyfile(ASSETS / "lines.js", tmp_path / "lines.mjs")
    rows = [
        {"state": "grace", "balance": 0, "owed": 5, "burnt": 9, "burn": 7, "seconds": None, "at": 1_000},
        {"state": "grace", "balance": 10, "owed": 0, "burnt": 9, "burn": 7, "seconds": 1.5, "at": 1_000},
        {"state": "alive", "balance": 10, "owed": 0, "burnt": 9, "burn": 7, "seconds": 1.5, "at": 1_000},
        {"state": "reaped", "balance": 0, "owed": 5, "burnt": 9, "burn": 0, "seconds": None, "at": 1_000},
    ]
    script = (
        f'import {{ at }} from "{tmp_path}/lines.mjs";'
        f"console.log(JSON.stringify({json.dumps(rows)}.map((row) => at(row, 3_000))))"
    )
    ran = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, check=True)

    assert json.loads(ran.stdout) == [
        {"balance": 0, "owed": 19, "burnt": 23, "seconds": None},
        {"balance": 0, "owed": 4, "burnt": 23, "seconds": 0},
        {"balance": 0, "owed": 0, "burnt": 23, "seconds": 0},
        {"balance": 0, "owed": 5, "burnt": 9, "seconds": None},
    ]
