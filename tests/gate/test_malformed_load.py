"""A thousand malformed payments a second, in short: the kept measurement, held to its marks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.page import MARKS

ROOT = Path(__file__).parents[2]


@pytest.mark.nightly
@pytest.mark.ray
@pytest.mark.sandbox
def test_malformed_payments_slow_nobody_down_and_fill_no_memory() -> None:
    command = [sys.executable, "-m", "bench", "--only", "malformed_headers", "--quick", "--json"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=ROOT, check=True)
    figures = {row["name"]: row for row in json.loads(out.stdout)}
    assert figures["malformed_headers_rss_growth"]["n"] > 4_000, "the attack did take place"
    assert figures["malformed_headers_p95_ratio"]["value"] <= MARKS["malformed_headers_p95_ratio"][1]
    assert figures["malformed_headers_rss_growth"]["value"] < MARKS["malformed_headers_rss_growth"][1]
