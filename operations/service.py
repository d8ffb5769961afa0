"""How the service does."""

from typing import Literal

from operations.models import Nothing, Output
from operations.registry import Auth, Body, Feature, Operation
from operations.surfaces import NoTool, Tool, Verb


class Health(Output):
    """Whether the service and its parts work."""

    status: Literal["ok", "degraded"]
    version: str
    network: str
    parts: dict[str, str]


FEATURE = Feature(
    240,
    (
        Operation(
            "service.health", "GET", "/health",
            "See whether the service and its parts work.",
            Nothing, Health, Auth.NONE,
            verb=Verb(("health",), "see whether the service and its parts work"),
            tool=Tool("satbox_health"),
        ),
        Operation(
            "service.metrics", "GET", "/metrics",
            "Counters and histograms in Prometheus text.",
            Nothing, None, Auth.NONE, body=Body.TEXT,
            verb=Verb(("metrics",), "counters and histograms in Prometheus text"),
            tool=NoTool("for scrapers, not for agents"),
        ),
    ),
)  # fmt: skip
