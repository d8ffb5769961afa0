"""`satbox images ls|build|inspect|rm`: boot images on this machine. The service offers what is built when it starts."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from operations.errors import SatboxError
from satbox.cli.context import Context
from satbox.cli.errors import UsageError
from satbox.cli.output import show


async def ls(context: Context) -> int:
    """Every defined image: what it is and whether it is built."""
    import images

    store, places = _store(context), images.folders(context.home / "images")
    built = {name: store.get(name).manifest for name in store.names()}
    rows = []
    for name in sorted({*images.names(places), *built}):
        manifest = built.get(name)
        definition = _definition(name, places) if name in images.names(places) else None
        if definition is not None and definition.kind == "host-usr":
            state = "ready"
        elif manifest is None:
            state = "not built"
        else:
            same = definition is not None and images.definition_sha256(definition) == manifest.definition_sha256
            state = "built" if same else "built, definition changed"
        shown = definition or (manifest.definition if manifest else None)
        rows.append(
            {
                "name": name, "state": state, "summary": shown.summary if shown else "",
                "pinned": bool(shown and shown.pinned), "digest": manifest.digest[:12] if manifest else None,
                "mib": manifest.size_bytes >> 20 if manifest else None,
                "built_at": manifest.built_at if manifest else None,
            }
        )  # fmt: skip
    show(context, {"images": rows})
    return 0


async def build(context: Context) -> int:
    """Build an image; one that is built from the same definition stays, unless --renew asks for today's packages."""
    import images

    name, store = context.arguments.name, _store(context)
    definition = _definition(name, images.folders(context.home / "images"))
    if definition.kind == "host-usr":
        raise UsageError(f"image {name} is the host's own /usr: there is nothing to build", "See satbox images ls.")
    if name in store.names() and not context.arguments.renew:
        manifest = store.get(name).manifest
        if manifest.definition_sha256 == images.definition_sha256(definition):
            show(context, {**_summary(manifest), "built_now": False})
            return 0
    say = _speaker(as_json=context.as_json)
    try:
        built = await asyncio.to_thread(lambda: images.build(definition, store, images.host_sources(), say))
    except images.StoreBusy as error:
        _refuse("already_exists", error, "Wait for the other build.")
    except images.BuilderMissing as error:
        _refuse("invalid_request", error, "Then run this again.")
    except (images.BuildFailed, images.SourcesMissing) as error:
        _refuse("internal", error, "Nothing is left of the attempt.")
    show(context, {**_summary(built.manifest), "built_now": True})
    return 0


async def inspect(context: Context) -> int:
    """An image's manifest; its packages too in the JSON form. Of one that is not built, its definition."""
    import images

    name, store = context.arguments.name, _store(context)
    try:
        manifest = store.get(name).manifest
    except images.ImageNotBuilt:
        definition = _definition(name, images.folders(context.home / "images"))
        show(context, {"name": name, "built": definition.kind == "host-usr", "definition": definition.model_dump()})
        return 0
    document = {"name": name, "built": True, **manifest.model_dump(mode="json")}
    if not context.as_json:
        packages = document.pop("packages")
        document.pop("definition")
        document["package_count"] = len(packages)
        document["asked_for"] = " ".join(manifest.definition.packages)
    show(context, document)
    return 0


async def rm(context: Context) -> int:
    """Remove a built image."""
    import images

    name, store = context.arguments.name, _store(context)
    try:
        with store.changing():
            freed = store.remove(name)
    except images.ImageNotBuilt as error:
        _refuse("not_found", error, "satbox images ls")
    except (images.ImageInUse, images.StoreBusy) as error:
        _refuse("already_exists", error, "satbox images ls")
    show(context, {"name": name, "freed_bytes": freed})
    return 0


def _store(context: Context) -> Any:
    import images

    return images.ImageStore(context.home / "images")


def _definition(name: str, places: list[Path]) -> Any:
    import images

    try:
        return images.load(name, places)
    except images.ImageMissing:
        known = ", ".join(images.names(places))
        raise UsageError(f"no image is called {name[:60]!r}", f"One of {known}.") from None
    except images.DefinitionInvalid as error:
        raise UsageError(str(error)[:500], "Correct that file.") from error


def _summary(manifest: Any) -> dict[str, Any]:
    return {
        "name": manifest.definition.name, "digest": manifest.digest, "size_bytes": manifest.size_bytes,
        "package_count": len(manifest.packages), "suite": manifest.suite, "built_at": manifest.built_at,
        "build_seconds": manifest.build_seconds,
    }  # fmt: skip


def _speaker(*, as_json: bool) -> Callable[[str], None]:
    """What a build does, line by line, on stderr."""

    def say(line: str) -> None:
        print(json.dumps({"progress": line}) if as_json else line, file=sys.stderr, flush=True)

    return say


def _refuse(code: str, error: Exception, hint: str) -> NoReturn:
    raise SatboxError(code, str(error)[:500], hint=hint) from error
