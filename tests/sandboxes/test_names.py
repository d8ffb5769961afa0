"""Names that are not UTF-8: as text and back, and as a listing gives them to every operation on files."""

import json
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.names import name_bytes, name_text
from tests.sandboxes.conftest import Box

ODD = (b"\xff", b"\xfe", b"caf\xe9", b"caf\xc3\xa9", b"\xed\xa0\x80", b"\xee\xbe\x80", b"\xef\xbf\xbd", b"a\xc3/\xa9")


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode) | st.sampled_from(ODD))
def test_a_name_survives_text_json_and_urls(data: bytes) -> None:
    text = name_text(data)
    assert name_bytes(text) == data
    assert name_bytes(unquote(quote(json.loads(json.dumps(text).encode()), safe=""))) == data


@given(st.binary(max_size=12), st.binary(max_size=12))
def test_two_names_never_look_the_same(one: bytes, other: bytes) -> None:
    assert (name_text(one) == name_text(other)) == (one == other)


def test_what_is_text_stays_as_it_is() -> None:
    assert name_text("caf\u00e9 \u4f60 \U0001f600".encode()) == "caf\u00e9 \u4f60 \U0001f600"
    assert name_text(b"caf\xe9") == "caf\uefe9"


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        name_bytes("\ud800")


@pytest.mark.sandbox
async def test_files_with_odd_names_are_read_moved_and_deleted_as_they_are_listed(box: Box) -> None:
    client, rid = box.client, box.runtime_id
    names = [name for name in ODD if b"/" not in name]
    made = await box.python(
        f"import os\nos.mkdir('d')\nfor n in {names!r}: open(b'd/' + n, 'wb').write(n)\n"
        "os.symlink(b'to \\xff', b'd/link')"
    )
    assert made["exit_code"] == 0, made
    entries = {entry["name"]: entry for entry in (await client.list_files(rid, "d"))["entries"]}
    assert name_bytes(entries.pop("link")["target"]) == b"to \xff"
    assert sorted(map(name_bytes, entries)) == sorted(names)
    for name in entries:
        assert await client.read_file(rid, f"d/{name}") == name_bytes(name)
        assert (await client.stat_file(rid, f"d/{name}"))["name"] == name
        await client.write_file(rid, f"d/{name}", b"new")
        await client.move_file(rid, f"d/{name}", f"d/{name}-moved")
    watch = client.watch_files(rid, "d")
    assert (await anext(watch))["event"] == "watching"
    moved = [entry["name"] for entry in (await client.list_files(rid, "d"))["entries"] if entry["name"] != "link"]
    assert sorted(map(name_bytes, moved)) == sorted(name + b"-moved" for name in names)
    await client.delete_file(rid, f"d/{moved[0]}")
    assert name_bytes((await anext(watch))["path"]).endswith(name_bytes(moved[0]))
    for name in moved[1:]:
        await client.delete_file(rid, f"d/{name}")
    assert [entry["name"] for entry in (await client.list_files(rid, "d"))["entries"]] == ["link"]
