"""A git server of the smart kind (git's own http-backend behind aiohttp) that asks for a header."""

import asyncio
import subprocess
from pathlib import Path

from aiohttp import web

BACKEND = Path("/usr/lib/git-core/git-http-backend")


def make_repository(folder: Path) -> str:
    """A bare repository `code.git` with two commits, a hook and an attribute that would like to run; its head."""
    work = folder / "work"
    work.mkdir(parents=True)

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@t.test", "-c", "init.defaultBranch=main", *arguments]
        return subprocess.run(command, cwd=work, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    for number in (1, 2):
        (work / "README").write_text(f"version {number}\n")
        (work / ".gitattributes").write_text("* filter=evil\n")
        git("add", ".")
        git("commit", "--quiet", "-m", f"commit {number}")
    git("clone", "--quiet", "--bare", str(work), str(folder / "code.git"))
    return git("rev-parse", "HEAD")


class GitServer:
    """Serves what is below `folder` on loopback to whoever sends `Authorization: Bearer <token>`."""

    def __init__(self, folder: Path, token: str) -> None:
        self.folder = folder
        self.token = token
        self.refused = 0
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            self.refused += 1
            return web.Response(status=403)
        environment = {
            "GIT_PROJECT_ROOT": str(self.folder), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string, "REQUEST_METHOD": request.method, "PATH": "/usr/bin:/bin",
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": "", "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            str(BACKEND), env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        output, _errors = await process.communicate(await request.read())
        head, _, body = output.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(fields.pop("Status", "200").split()[0])
        return web.Response(status=status, body=body, headers=fields)
