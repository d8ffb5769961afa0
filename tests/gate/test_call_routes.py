"""Which route a request falls under, told apart from what a hostile caller would have it fall under."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from actors.wallet.calls import Route
from gate.proxy.forward import said_of
from gate.proxy.heads import inward
from gate.reach.matching import route_for
from gate.wire.paths import called_path, inner_target
from operations.errors import SatboxError

PAID = Route(8000, "/paid", sats=5)
DEEP = Route(8000, "/deep/*", sats=5)
LISTED = Route(8000, "/listed", callers="list", addresses=("SP1",))
FREE = Route(8000, "/*")
ROUTES = (PAID, DEEP, LISTED, FREE)


@pytest.mark.parametrize(
    "path",
    [
        "/paid#",
        "/paid#x?y",
        "/x?y#z",
        "/paid/",
        "/PAID",
        "/Paid/",
        "/deep",
        "/DEEP/x",
        "/p%61id/",
        "/listed/",
        "/Listed",
    ],
)
def test_what_a_server_may_take_for_a_dearer_path_goes_nowhere(path: str) -> None:
    with pytest.raises(SatboxError, match="path_ambiguous"):
        route_for(ROUTES, 8000, "GET", path)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/paid", PAID),
        ("/paid?x=/Y/", PAID),
        ("/deep/", DEEP),
        ("/deep/x", DEEP),
        ("/paidx", FREE),
        ("/", FREE),
        ("/dee", FREE),
    ],
)
def test_what_reads_in_one_way_falls_under_its_route(path: str, route: Route) -> None:
    assert route_for(ROUTES, 8000, "GET", path) is route


def test_a_path_that_its_owner_named_itself_is_what_the_owner_meant() -> None:
    slash = Route(8000, "/paid/", sats=1)
    assert route_for((PAID, slash, FREE), 8000, "GET", "/paid/") is slash
    assert route_for((Route(8000, "/free*"), Route(8000, "/*", sats=2)), 8000, "GET", "/FREE").sats == 2  # type: ignore[union-attr]
    assert route_for((PAID,), 8000, "GET", "/PAID") is None


@pytest.mark.parametrize(
    "name",
    ["X_Satbox_Payer", "x-satbox_payer", "X_Forwarded_For", "X-Original-URL", "X_HTTP_Method_Override", "SCRIPT_NAME",
     "Path-Info", "Payment_Signature", "X_Satbox_Token", "X.Satbox.Payer", "X-Satbox'Payer", "Content.Length"],
)  # fmt: skip
def test_headers_that_speak_for_the_gate_are_dropped_however_they_are_spelt(name: str) -> None:
    request: web.Request = make_mocked_request(
        "GET", "/x", {name: "forged", "X_Mine": "kept"}, match_info={"address": "SP1", "port": "8000"}
    )
    headers = inward(request.headers.items(), said_of(request), keeps_authorization=True)
    assert "forged" not in headers.values()
    assert headers["X_Mine"] == "kept"


@pytest.mark.parametrize("before", ["", "http://elsewhere", "HTTP://user@elsewhere:1"])
@pytest.mark.parametrize(
    ("tail", "path", "target"),
    [
        ("", "", "/"),
        ("/", "/", "/"),
        ("/a%2Fb/?x=/y&z", "/a%2Fb/", "/a%2Fb/?x=/y&z"),
        ("/a?next=http://other/b", "/a", "/a?next=http://other/b"),
    ],
)
def test_an_order_names_the_path_that_the_server_inside_is_asked_for(
    before: str, tail: str, path: str, target: str
) -> None:
    request = make_mocked_request("GET", f"{before}/sandbox/proxy/SP1/8000{tail}")
    assert (called_path(request), inner_target(request)) == (f"/sandbox/proxy/SP1/8000{path}", target)
