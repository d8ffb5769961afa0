"""Whole folders: as archives in and out, and watched."""

from typing import Literal

from pydantic import Field

from operations.codes import PATHS
from operations.files import PathInput
from operations.models import Output
from operations.registry import Auth, Body, Feature, Operation
from operations.surfaces import NoTool, Option, Verb

_NO_TOOL = "bytes of an archive; agents run tar or unzip inside"


class ArchiveInput(PathInput):
    """A folder as an archive."""

    format: Literal["tar", "tar.gz", "zip"] = Field("tar.gz", description="what kind of archive")


class WatchInput(PathInput):
    """A folder to watch."""

    recursive: bool = Field(False, description="also all folders in it")


class Unpacked(Output):
    """What came out of an archive. `skipped` would have led out of the folder, or is no file; the first 100 are named."""

    files: int
    bytes: int
    skipped: int
    skipped_names: list[str] = Field(default_factory=list)


class Change(Output):
    """Something that happened to a path. The first one is `watching`: from then on nothing is missed. `overflow`: some were."""

    event: Literal["watching", "created", "deleted", "written", "changed", "moved_from", "moved_to", "overflow"]
    path: str | None = None
    type: str | None = None
    partial: bool | None = None


FEATURE = Feature(
    60,
    (
        Operation(
            "files.pack", "GET", "/sandbox/files/archive",
            "Get a folder as an archive.",
            ArchiveInput, None, Auth.OWNER, body=Body.DOWNLOAD, scope="files", errors=PATHS, positional=("path",),
            ends_with_caller=True,
            verb=Verb(
                ("files", "pack"), "get a folder as an archive",
                options=(
                    Option("output", "into a file (default: stdout)", metavar="FILE"),
                ),
                run="files.archives:pack",
            ),
            tool=NoTool("bytes of an archive; agents run tar or unzip inside"),
        ),
        Operation(
            "files.unpack", "PUT", "/sandbox/files/archive",
            "Unpack an archive into a folder: all of it, or nothing.",
            ArchiveInput, Unpacked, Auth.OWNER, body=Body.UPLOAD, scope="files",
            errors=(*PATHS, "disk_full", "body_too_large", "archive_invalid"), positional=("path",),
            verb=Verb(
                ("files", "unpack"), "unpack an archive into a folder",
                options=(
                    Option("source", "what to write (default: stdin)", flags=("--from",), default="-", metavar="FILE"),
                ),
                run="files.archives:unpack",
            ),
            tool=NoTool("bytes of an archive; agents run tar or unzip inside"),
        ),
        Operation(
            "files.watch", "GET", "/sandbox/files/watch",
            "Follow what changes in a folder, for up to an hour.",
            WatchInput, None, Auth.OWNER, body=Body.EVENTS, scope="files", errors=PATHS, positional=("path",),
            ends_with_caller=True,
            verb=Verb(("files", "watch"), "follow what changes in a folder", run="sandbox.following:changes"),
            tool=NoTool("a stream without an end; agents list the folder again"),
        ),
    ),
)  # fmt: skip
