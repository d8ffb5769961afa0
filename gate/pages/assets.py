"""Style sheets, modules and pictures: read once, named by what is in them, kept by browsers for ever.

A module imports its neighbours as `"./name.js"`; here that becomes the hashed name, innermost first, so that a change in one
file renames every file that leads to it and no browser ever mixes two versions.
"""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).parent / "assets"
PREFIX = "/assets/"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}
HASH_CHARS = 12
GZIP_BYTES_MIN = 800
FOR_EVER = "public, max-age=31536000, immutable"
_IMPORT = re.compile(r'"\./([a-z][a-z0-9.-]*\.js)"')


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it is served."""

    url: str
    content_type: str
    body: bytes
    gzipped: bytes | None


class Assets:
    """The files of a folder by their own names and by the names they are served under."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in TYPES}
        self._named: dict[str, PageFile] = {}
        for name in self._files:
            self._make(name, ())
        self.served: Mapping[str, PageFile] = {asset.url.removeprefix(PREFIX): asset for asset in self._named.values()}

    def url(self, name: str) -> str:
        """Where a file is served. Raises KeyError for one that is not there."""
        return self._named[name].url

    def bytes_of(self, *names: str) -> int:
        """What a browser loads for these files and the modules they import at once, compressed."""
        wanted, seen = list(names), set()
        while wanted:
            name = wanted.pop()
            if name not in seen:
                seen.add(name)
                wanted += re.findall(
                    r'^(?:import|export)\b[^;]*?"\./([^"]+)"', self._files[name].decode(), re.MULTILINE
                )
        return sum(len(self._named[name].gzipped or self._named[name].body) for name in seen)

    def _make(self, name: str, importers: tuple[str, ...]) -> PageFile:
        made = self._named.get(name)
        if made is not None:
            return made
        if name in importers:
            raise ValueError(f"modules import each other in a circle: {' -> '.join((*importers, name))}")
        stem, suffix = name.rsplit(".", 1)
        body = self._files[name]
        if suffix == "js" and not name.endswith(".bundle.js"):
            linked = _IMPORT.sub(lambda found: f'"{self._make(found[1], (*importers, name)).url}"', body.decode())
            body = linked.encode()
        digest = hashlib.sha256(body).hexdigest()[:HASH_CHARS]
        squeezed = gzip.compress(body, 9, mtime=0) if len(body) >= GZIP_BYTES_MIN else None
        made = PageFile(f"{PREFIX}{stem}.{digest}.{suffix}", TYPES[f".{suffix}"], body, squeezed)
        self._named[name] = made
        return made


@cache
def own_assets() -> Assets:
    """The pages' files, read and compressed once a process."""
    return Assets()


def add_asset_routes(app: web.Application, assets: Assets) -> None:
    """Serve them."""

    async def serve(request: web.Request) -> web.Response:
        asset = assets.served.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        headers = {
            "Cache-Control": FOR_EVER,
            "Content-Type": f"{asset.content_type}; charset=utf-8",
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        if asset.gzipped is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=asset.gzipped, headers={**headers, "Content-Encoding": "gzip"})
        return web.Response(body=asset.body, headers=headers)

    app.router.add_get(PREFIX + "{name}", serve)
