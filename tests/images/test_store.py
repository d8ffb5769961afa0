"""The store: complete or not there, one change at a time, nothing removed under a node's feet."""

import json
import os
from pathlib import Path

import pytest

import images
from images import BuildFailed, ImageInUse, ImageNotBuilt, ImageStore, Sources, StoreBusy
from images.finishing import definition_sha256, digest_of, finish, measure, packages_of
from images.store import Manifest, Package, hold

PYTHON = images.load("python")


def put(store: ImageStore, name: str, version: str) -> str:
    """An image of one file."""
    definition = PYTHON.model_copy(update={"name": name})
    packages = (Package(name="x", version=version, architecture="all"),)
    with store.changing():
        folder = store.new_folder()
        (folder / "rootfs").mkdir()
        (folder / "rootfs/file").write_text(version)
        manifest = Manifest(
            digest=digest_of(definition, packages), definition=definition,
            definition_sha256=definition_sha256(definition), suite="trixie", packages=packages, size_bytes=1, files=1,
            content_sha256="0" * 64, built_at="2026-01-01T00:00:00+00:00", build_seconds=1.0,
        )  # fmt: skip
        return store.take_in(folder, manifest).manifest.digest


def test_a_name_stands_for_the_newest_and_the_old_one_goes(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)

    first, second = put(store, "one", "1"), put(store, "one", "2")

    assert first != second
    assert store.get("one").manifest.digest == second
    assert (store.get("one").rootfs / "file").read_text() == "2"
    assert sorted(path.name for path in store.built.iterdir()) == [second]
    assert put(store, "one", "2") == second
    assert images.offered(tmp_path) == ["base", "one"]


def test_what_a_node_offers_stays_until_it_lets_go(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    first = put(store, "one", "1")
    held = hold(store.get("one"))

    second = put(store, "one", "2")
    both = {path.name for path in store.built.iterdir()}
    other = hold(store.get("one"))
    with store.changing(), pytest.raises(ImageInUse):
        store.remove("one")
    os.close(held)
    os.close(other)
    with store.changing():
        freed = store.remove("one")

    assert both == {first, second}
    assert freed == 1
    assert list(store.built.iterdir()) == []
    with pytest.raises(ImageNotBuilt, match="satbox images build one"):
        store.get("one")
    with store.changing(), pytest.raises(ImageNotBuilt):
        store.remove("one")


def test_two_changes_at_once_are_refused_and_leftovers_cleared(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    with store.changing():
        left = store.new_folder()
        with pytest.raises(StoreBusy), ImageStore(tmp_path).changing():
            raise AssertionError

    with store.changing():
        assert not left.exists()


def test_a_half_image_is_no_image(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    digest = put(store, "one", "1")
    path = store.built / digest / "manifest.json"
    content = json.loads(path.read_text())

    for wrong in ("", "{}", json.dumps({**content, "digest": "0" * 64}), json.dumps({**content, "definition": {}})):
        path.write_text(wrong)
        with pytest.raises(ImageNotBuilt):
            store.get("one")
        assert store.names() == []


def test_a_definition_that_was_never_built_is_told_from_one_that_is_none(tmp_path: Path) -> None:
    places = images.folders(tmp_path)

    assert "satbox images build python" in images.why_not_offered("python", places)
    assert images.why_not_offered("nothing", places) == "no image 'nothing'"
    assert images.offered(tmp_path) == ["base"]


def test_the_host_s_own_is_nothing_to_build(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="nothing to build"):
        images.build(images.load("base"), ImageStore(tmp_path), Sources("trixie", ""), print)


needs_builder = pytest.mark.skipif(images.why_not_here() is not None, reason=str(images.why_not_here()))
NOWHERE = Sources("trixie", "deb [trusted=yes] file:///nonexistent trixie main\n")


@needs_builder
@pytest.mark.parametrize("changes", [{}, {"build_seconds_max": 0.001}, {"size_bytes_max": 1 << 60}])
def test_a_build_that_fails_leaves_nothing(tmp_path: Path, changes: dict[str, float]) -> None:
    said: list[str] = []
    store = ImageStore(tmp_path)

    with pytest.raises(BuildFailed) as failure:
        images.build(PYTHON.model_copy(update=changes), store, NOWHERE, said.append)

    assert list(store.built.iterdir()) == []
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    wanted = {"build_seconds_max": "took longer", "size_bytes_max": "disk are free"}
    assert next((words for name, words in wanted.items() if name in changes), "mmdebstrap failed") in str(failure.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="making devices needs root")
def test_a_finished_tree_holds_nothing_private_set_id_or_new(tmp_path: Path) -> None:
    for folder in ("etc/apt", "usr/bin", "dev", "var/tmp", "var/cache/apt", "tmp", "run", "var/lib/dpkg", "root"):
        (tmp_path / folder).mkdir(parents=True)
    for path, mode in (
        ("usr/bin/su", 0o4755),
        ("usr/bin/wall", 0o2755),
        ("usr/bin/tool", 0o700),
        ("etc/secret", 0o600),
    ):
        (tmp_path / path).write_text("x")
        (tmp_path / path).chmod(mode)
    for path in ("etc/shadow", "etc/machine-id", "etc/apt/auth.conf", "tmp/x", "root/.bashrc", "var/cache/apt/x"):
        (tmp_path / path).write_text("private")
    os.chown(tmp_path / "usr/bin/wall", 0, 5)
    os.mknod(tmp_path / "dev/null", 0o20666, os.makedev(1, 3))
    os.mkfifo(tmp_path / "usr/bin/pipe")
    (tmp_path / "etc/passwd").symlink_to("/etc/passwd")
    record = "Package: x\nStatus: install ok installed\nArchitecture: all\nVersion: 1:2-3\nDescription: y\n a: b\n\n"
    (tmp_path / "var/lib/dpkg/status").write_text(
        record + record.replace("x\n", "z\n", 1).replace(" installed", " half")
    )

    finish(tmp_path, PYTHON)
    measured = measure(tmp_path)

    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert not names & {"etc/shadow", "etc/machine-id", "etc/apt", "tmp/x", "root/.bashrc", "dev/null", "usr/bin/pipe"}
    assert names >= {"workspace", "opt/satbox", "proc", "dev", "sys", "tmp", "run"}
    modes = {
        name: (tmp_path / name).stat().st_mode & 0o7777
        for name in ("usr/bin/su", "usr/bin/wall", "usr/bin/tool", "etc/secret")
    }
    assert modes == {"usr/bin/su": 0o755, "usr/bin/wall": 0o755, "usr/bin/tool": 0o755, "etc/secret": 0o644}
    assert (tmp_path / "usr/bin/wall").stat().st_gid == 0
    assert not (tmp_path / "etc/passwd").is_symlink()
    assert (tmp_path / "var/tmp").readlink() == Path("/tmp")
    assert max(path.lstat().st_mtime for path in tmp_path.rglob("*")) <= PYTHON.source_date_epoch
    assert [package.model_dump() for package in packages_of(tmp_path)] == [
        {"name": "x", "version": "1:2-3", "architecture": "all"}
    ]
    finish(tmp_path, PYTHON)
    assert measure(tmp_path) == measured
    (tmp_path / "usr/bin/tool").chmod(0o700)
    assert measure(tmp_path).content_sha256 != measured.content_sha256
