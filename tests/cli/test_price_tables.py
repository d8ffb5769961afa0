"""Prices and their sources as tables for people."""

from operations import oracle as o
from satbox.cli.people import for_people

PRICES = o.Prices(
    at="2026-11-21T12:50:28.482Z",
    items=[
        o.AssetPrice(asset="STX", is_offered=True, sats_per_coin="500.000000", haircut_ppm=12_500, sources=["a", "b"]),
        o.AssetPrice(asset="USDCx", is_offered=False, code="depegged", message="USDC is at 0.8700 dollars"),
    ],
)
SOURCE = o.Source(
    name="kraken", group="kraken", weight=2, age_seconds=61.0, error="HTTP 503", timeout_seconds=4, heartbeat_seconds=10,
    stale_seconds=60,
    standings={"STX": o.SourceStanding(state="stale"), "USDCx": o.SourceStanding(state="used", weight_ppm=250_000)},
)  # fmt: skip


def test_a_price_or_the_reason_why_there_is_none() -> None:
    rows = for_people("oracle.prices", PRICES.model_dump(mode="json"))["items"]
    assert (rows[0]["sats_per_coin"], rows[0]["asked_on_top"], rows[0]["sources"]) == ("500.000000", "1.25 %", "a, b")
    assert rows[1]["sats_per_coin"] == "USDC is at 0.8700 dollars (depegged)"


def test_a_source_and_what_it_counts_for() -> None:
    document = o.Sources(at=None, items=[SOURCE]).model_dump(mode="json")
    row = for_people("oracle.sources", document)["items"][0]
    assert (row["STX"], row["USDCx"], row["weight"], row["age"]) == ("stale", "used", "25.0 %", "1 min 1 s")
    assert row["error"] == "HTTP 503"
    assert row["last_ok_(UTC)"] is None


def test_a_quote_says_what_is_missing() -> None:
    quote = o.Quote(
        sats=5, seconds=5, rate_usat_per_second=1, offers=[],
        not_offered={"STX": o.WithheldView(code="no_quorum", message="2 of 3 are fresh")},
    )  # fmt: skip
    assert for_people("sandbox.quote", quote.model_dump(mode="json"))["not_offered"] == {
        "STX": "2 of 3 are fresh (no_quorum)"
    }
