"""How the service does."""

from operations import models as m
from operations.registry import Auth, Body, Feature, Operation
from operations.surfaces import NoTool, Tool, Verb

FEATURE = Feature(
    240,
    (
        Operation(
            "service.health", "GET", "/health",
            "See whether the service and its parts work.",
            m.Nothing, m.Health, Auth.NONE,
            verb=Verb(("health",), "see whether the service and its parts work"),
            tool=Tool("satbox_health"),
        ),
        Operation(
            "service.metrics", "GET", "/metrics",
            "Counters and histograms in Prometheus text.",
            m.Nothing, None, Auth.NONE, body=Body.TEXT,
            verb=Verb(("metrics",), "counters and histograms in Prometheus text"),
            tool=NoTool("for scrapers, not for agents"),
        ),
    ),
)  # fmt: skip
