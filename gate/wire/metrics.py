"""Counters and histograms of one gate, in a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """What a gate counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "satbox_requests_total", "Requests by operation and outcome", ["operation", "code"], registry=self.registry
        )
        self.seconds = Histogram(
            "satbox_request_seconds", "Time to answer", ["operation"], buckets=BUCKETS_SECONDS, registry=self.registry
        )
        self.wallets = Gauge("satbox_wallets", "Wallets by host and state", ["host", "state"], registry=self.registry)
        self.calls_paid = Counter("satbox_calls_paid_total", "Calls that strangers paid for", registry=self.registry)
        self.streams = Gauge("satbox_streams", "Open event streams", registry=self.registry)

    def calls_paid_count(self) -> int:
        """How many calls strangers have paid for at this gate."""
        return int(next(iter(self.calls_paid.collect())).samples[0].value)

    def text(self, statistics: dict[str, dict[str, int]]) -> bytes:
        """Prometheus text, with the hosts' counts as of now."""
        self.wallets.clear()
        for host, counts in statistics.items():
            for state, count in counts.items():
                self.wallets.labels(host, state).set(count)
        return generate_latest(self.registry)
