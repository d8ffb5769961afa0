"""`satbox images` on this machine: what is there, what can't be built, what goes away."""

import json
from pathlib import Path
from typing import Any

import pytest

import images
from tests.cli.running import satbox
from tests.images.test_store import put

NOBODY = "http://127.0.0.1:9"


async def said(home: Path, *words: str) -> tuple[int, Any, str]:
    ended = await satbox("images", *words, "--json", home=home, gate=NOBODY)
    return ended.code, json.loads(ended.stdout) if ended.stdout else None, ended.stderr


async def test_a_list_tells_what_is_built_and_what_was_changed_since(tmp_path: Path) -> None:
    store = images.ImageStore(tmp_path / "images")
    digest = put(store, "python", "1")
    put(store, "old", "1")

    code, document, _ = await said(tmp_path, "ls")

    rows = {row["name"]: row for row in document["images"]}
    assert code == 0
    assert (rows["base"]["state"], rows["base"]["pinned"]) == ("ready", False)
    assert (rows["python"]["state"], rows["python"]["digest"]) == ("built", digest[:12])
    assert rows["node"]["state"] == "not built"
    assert rows["old"]["state"] == "built, definition changed"


async def test_one_that_is_built_is_not_built_again(tmp_path: Path) -> None:
    digest = put(images.ImageStore(tmp_path / "images"), "python", "1")

    code, document, errors = await said(tmp_path, "build", "python")

    assert (code, document["digest"], document["built_now"], errors) == (0, digest, False, "")


async def test_a_manifest_can_be_read_and_an_image_removed(tmp_path: Path) -> None:
    put(images.ImageStore(tmp_path / "images"), "python", "7")

    _, manifest, _ = await said(tmp_path, "inspect", "python")
    code, removed, _ = await said(tmp_path, "rm", "python")
    again, _, errors = await said(tmp_path, "rm", "python")
    _, definition, _ = await said(tmp_path, "inspect", "python")

    assert manifest["packages"] == [{"name": "x", "version": "7", "architecture": "all"}]
    assert (code, removed) == (0, {"name": "python", "freed_bytes": 1})
    assert again == 1
    assert json.loads(errors)["error"]["code"] == "not_found"
    assert (definition["built"], definition["definition"]["name"]) == (False, "python")


@pytest.mark.parametrize(("verb", "name"), [("build", "nothing"), ("build", "base"), ("inspect", "../base")])
async def test_what_can_not_be_is_a_usage_error(tmp_path: Path, verb: str, name: str) -> None:
    code, _, errors = await said(tmp_path, verb, name)

    assert code == 2
    assert json.loads(errors)["error"]["code"] == "invalid_request"
