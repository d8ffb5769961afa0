"""Where a redirect of a server inside leads its caller, in path form and at an origin of the port's own."""

import pytest

from gate.proxy.heads import outward
from gate.proxy.redirects import outward_links, outward_location, outward_refresh
from gate.wire.paths import Place

PATH = Place("SP1", 8000)
OWN = Place("SP1", 8000, "https://8000-sp1.gate.test")
P = "/sandbox/proxy/SP1"
SAME = None


@pytest.mark.parametrize(
    ("said", "in_path_form", "at_home"),
    [
        ("/small", f"{P}/8000/small", SAME),
        ("/", f"{P}/8000/", SAME),
        ("/a%2Fb/?next=/c#d", f"{P}/8000/a%2Fb/?next=/c#d", SAME),
        ("http://localhost:8000/x?y#z", f"{P}/8000/x?y#z", "https://8000-sp1.gate.test/x?y#z"),
        ("https://LOCALHOST:8000", f"{P}/8000/", "https://8000-sp1.gate.test/"),
        ("http://127.0.0.1:8000?q", f"{P}/8000/?q", "https://8000-sp1.gate.test/?q"),
        ("//[::1]:8000/x", f"{P}/8000/x", "https://8000-sp1.gate.test/x"),
        ("http://0.0.0.0:9000/other", f"{P}/9000/other", "https://9000-sp1.gate.test/other"),
        ("http://localhost/x", f"{P}/80/x", "https://80-sp1.gate.test/x"),
        (f"{P}/8000/known", SAME, SAME),
        (f"{P}/8000", SAME, SAME),
        (f"{P}/80001/x", f"{P}/8000{P}/80001/x", SAME),
        (f"http://gate.test{P}/8000/known", f"{P}/8000/known", SAME),
        ("http://gate.test/x", f"{P}/8000/x", SAME),
        ("small", SAME, SAME),
        ("./small?x=..", SAME, SAME),
        ("?q=1", SAME, SAME),
        ("#there", SAME, SAME),
        ("", SAME, SAME),
        ("../../../../../create", f"{P}/8000/create", SAME),
        ("/../../create", f"{P}/8000/create", SAME),
        ("../up", f"{P}/8000/a/up", SAME),
        (".%2e/.%2E/%2e%2e/%2e./create?a=%2e%2e", f"{P}/8000/create?a=%2e%2e", SAME),
        ("/%2e%2e/%2e%2e/create", f"{P}/8000/create", SAME),
        ("..\\..\\..\\create", f"{P}/8000/create", SAME),
        ("v1%2e2/notes", SAME, SAME),
        ("http://user@gate.test/x", f"{P}/8000/x", SAME),
        ("https://accounts.example/login?next=http://localhost:8000/", SAME, SAME),
        ("//elsewhere.example/x", SAME, SAME),
        ("http://localhost:8000@elsewhere.example/", SAME, SAME),
        ("http://user@localhost:8000/", SAME, SAME),
        ("http://localhost:0/", SAME, SAME),
        ("http://localhost:99999/", SAME, SAME),
        ("http://localhost.example:8000/", SAME, SAME),
        ("mailto:../x@example", SAME, SAME),
        ("myapp://callback/../x", SAME, SAME),
    ],
)  # fmt: skip
def test_it_stays_with_its_server(said: str, in_path_form: str | None, at_home: str | None) -> None:
    assert outward_location(said, PATH, "/a/b/c?d", "gate.test") == (said if in_path_form is None else in_path_form)
    assert outward_location(said, OWN, "/a/b/c?d", "8000-sp1.gate.test") == (said if at_home is None else at_home)


@pytest.mark.parametrize(
    ("said", "in_path_form", "at_home"),
    [
        ("5; url=/next", f"5; url={P}/8000/next", SAME),
        ("0;URL='/next'", f"0;URL='{P}/8000/next'", SAME),
        ('1.5 ; url = "/a b"', f'1.5 ; url = "{P}/8000/a b"', SAME),
        ("3, http://localhost:8000/x", f"3, {P}/8000/x", "3, https://8000-sp1.gate.test/x"),
        ("0; /next", f"0; {P}/8000/next", SAME),
        ("0 /next", f"0 {P}/8000/next", SAME),
        ("0; url=../up", f"0; url={P}/8000/a/up", SAME),
        ("5", SAME, SAME),
        ("5; url=", SAME, SAME),
        ("5; url=https://elsewhere.example/", SAME, SAME),
        ("soon", SAME, SAME),
        ("", SAME, SAME),
    ],
)
def test_a_refresh_stays_with_its_server(said: str, in_path_form: str | None, at_home: str | None) -> None:
    assert outward_refresh(said, PATH, "/a/b/c?d", "gate.test") == (said if in_path_form is None else in_path_form)
    assert outward_refresh(said, OWN, "/a/b/c?d", "8000-sp1.gate.test") == (said if at_home is None else at_home)


@pytest.mark.parametrize(
    ("said", "in_path_form", "at_home"),
    [
        ("</a.css>; rel=preload", f"<{P}/8000/a.css>; rel=preload", SAME),
        ("</p?2>; rel=next, </p?9>; rel=last", f"<{P}/8000/p?2>; rel=next, <{P}/8000/p?9>; rel=last", SAME),
        ("<http://localhost:8000/x,y>; rel=self", f"<{P}/8000/x,y>; rel=self", "<https://8000-sp1.gate.test/x,y>; rel=self"),
        ('<b.js>; title="</no>, \\"</no>"', SAME, SAME),
        ("<https://elsewhere.example/>; rel=canonical", SAME, SAME),
        ("/no-brackets", SAME, SAME),
        ('"' + '\\"' * 20_000 + "</x>", SAME, SAME),
    ],
)  # fmt: skip
def test_links_stay_with_their_server(said: str, in_path_form: str | None, at_home: str | None) -> None:
    assert outward_links(said, PATH, "/a/b/c?d", "gate.test") == (said if in_path_form is None else in_path_form)
    assert outward_links(said, OWN, "/a/b/c?d", "8000-sp1.gate.test") == (said if at_home is None else at_home)


def test_every_header_that_leads_somewhere_is_said_as_its_caller_reaches_it() -> None:
    said = [
        ("Location", "/x"),
        ("content-location", "/x"),
        ("REFRESH", "1; url=/x"),
        ("Link", "</x>"),
        ("Link", "</y>"),
    ]
    told = outward(said, "req_1", PATH, target="/", outer_host="gate.test")
    assert (told["Location"], told["Content-Location"]) == (f"{P}/8000/x", f"{P}/8000/x")
    assert (told["Refresh"], told.getall("Link")) == (f"1; url={P}/8000/x", [f"<{P}/8000/x>", f"<{P}/8000/y>"])
