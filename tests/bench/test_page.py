"""What a run that measures only some figures leaves of those that it did not measure."""

import importlib
from pathlib import Path

from bench.figures import Figure
from bench.page import markdown, peers

ROOT = Path(__file__).parents[2]
WHOLE = [
    Figure("create_first_output_warm", "ms", 20, 5.25),
    Figure("create_first_output_cold", "ms", 20, 1_040.5),
    Figure("create_first_output_cold_gvisor", "ms", 20, 300.0),
    Figure("status_rps", "requests/s", 1, 9_000.0),
]


def test_rows_that_were_not_measured_again_stay_as_they_were() -> None:
    page = markdown(WHOLE)
    again = markdown([Figure("proxy_rps_bucket", "calls/s", 1, 2_500.0)], page)
    later = markdown([Figure("create_first_output_cold", "ms", 20, 900.0)], again)

    for name in ("create_first_output_warm", "create_first_output_cold_gvisor", "status_rps", "proxy_rps_bucket"):
        assert later.count(f"| `{name}` |") == 1
    assert peers([], again) == peers(WHOLE)
    assert "| satbox, warm pool | 5.2 |" in later
    assert "| satbox, cold | 900.0 |" in later
    assert "| satbox, gVisor, cold | 300.0 |" in later
    assert later.count("| satbox, ") == 3


def test_without_an_earlier_page_only_what_was_measured_is_shown() -> None:
    assert not any(line.startswith("| satbox") for line in peers([]))


def test_the_page_as_it_is_kept_can_be_read_back() -> None:
    page = (ROOT / "design" / "benchmarks.md").read_text()
    kept = [line for line in page.splitlines() if line.startswith("| satbox, ")]
    assert kept
    assert [line for line in peers([], page) if line.startswith("| satbox, ")] == kept


def test_every_bench_can_be_imported() -> None:
    """Most run rarely: a name that moved would stop the whole run at its last part."""
    modules = sorted(path.stem for path in (ROOT / "bench").glob("*.py") if path.stem != "__main__")
    assert len(modules) > 10
    for module in modules:
        importlib.import_module(f"bench.{module}")
