"""Whatever is sent, a head is refused or means one thing; and no bytes bring the proxy down."""

import json
import re

import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandboxes.egress.heads import (
    Framing,
    HeadInvalid,
    end_to_end,
    framing_fields,
    read_answer,
    read_request,
    request_body,
    values,
    write_head,
)
from tests.egress.world import make_world

NAMES = [
    "Host",
    "content-length",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "X-A",
    "Proxy-Authorization",
    "TE",
    "x y",
    "",
]
VALUES = [
    "",
    "5",
    "05",
    "5, 5",
    "chunked",
    "Chunked",
    "gzip, chunked",
    "close, X-A",
    "\u00e9",
    "a\rb",
    "a\nb",
    "\x00",
    " x ",
    "\t",
]
fields = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES), st.sampled_from([":", ": ", " :", "", ":\t"]))
)
lines = st.sampled_from(
    [
        "GET http://a.test/ HTTP/1.1",
        "POST http://a.test/x HTTP/1.0",
        "CONNECT a.test:443 HTTP/1.1",
        "GET / HTTP/1.1",
        "GET  x",
        "\x01",
    ]
)
ends = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r"])
requests = st.builds(
    lambda line, rest, end: (line + end + "".join(f"{n}{c}{v}{end}" for n, v, c in rest) + "\r\n").encode("latin-1"),
    lines, fields, ends,
)  # fmt: skip


@given(requests | st.binary(max_size=300).map(lambda raw: raw + b"\r\n\r\n"))
def test_what_is_accepted_reads_the_same_when_it_is_written_again(data: bytes) -> None:
    try:
        head = read_request(data, 100)
        body = request_body(head)
    except HeadInvalid:
        return
    passed = [*end_to_end(head.fields), *framing_fields(body)]
    again = read_request(write_head(f"{head.method} /x HTTP/1.1", passed), 200)

    assert again.fields == passed
    assert request_body(again) == body
    assert len(values(passed, "content-length")) + len(values(passed, "transfer-encoding")) <= 1
    assert not values(passed, "connection") + values(passed, "proxy-authorization") + values(passed, "te")
    assert len(values(head.fields, "host")) <= 1
    for name, value in head.fields:
        assert re.fullmatch(r"[!#-'*+.^_`|~0-9A-Za-z-]+", name)
        assert not re.search(r"[\r\n\0]", value)
    if body.framing is Framing.NONE:
        assert not values(head.fields, "content-length") + values(head.fields, "transfer-encoding")


@given(st.binary(max_size=300))
def test_an_answer_s_head_is_read_or_refused(data: bytes) -> None:
    for candidate in (data, b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n"):
        try:
            answer = read_answer(candidate, 100)
        except HeadInvalid:
            continue
        assert 100 <= answer.status <= 999


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(requests | st.binary(min_size=1, max_size=200), min_size=1, max_size=4))
async def test_no_bytes_bring_the_proxy_down(data: list[bytes]) -> None:
    world = await make_world(head_seconds_max=0.05)
    with structlog.testing.capture_logs() as logs:
        try:
            answer = await world.ask(b"".join(data), end=True)
        except ConnectionError:
            answer = b""

    assert [entry for entry in logs if entry["event"] == "egress.connection_failed"] == []
    if answer:
        error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
        assert error["code"] in ("egress_bad_request", "egress_unresolvable")
    await world.close()
