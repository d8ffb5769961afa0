"""CPU shares between samples."""

from gate.actions.usage import _sample


def at(ms: int, cpu_us: int | None) -> dict[str, int | None]:
    return {
        "at_ms": ms, "cpu_us": cpu_us, "memory_bytes": 1, "disk_bytes": 2, "egress_in_bytes": 3, "egress_out_bytes": 4,
    }  # fmt: skip


def test_a_share_is_of_one_core_since_the_sample_before() -> None:
    assert _sample(at(0, 0), at(10_000, 5_000_000), 0).cpu_percent == 50.0
    assert _sample(at(0, 0), at(10_000, 20_000_000), 0).cpu_percent == 200.0


def test_without_a_sample_before_or_a_counter_there_is_no_share() -> None:
    assert _sample(None, at(0, 1), 0).cpu_percent is None
    assert _sample(at(0, None), at(10, None), 0).cpu_percent is None
    assert _sample(at(5, 1), at(5, 2), 0).cpu_percent is None
