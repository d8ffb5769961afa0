"""Whole folders: as archives in and out, and watched."""

from typing import Literal

from pydantic import Field

from operations.codes import PATHS
from operations.models import Output, PathInput
from operations.registry import Auth, Body, Operation

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


FOLDERS = (
    Operation(
        "files.pack", "GET", "/sandbox/files/archive",
        "Get a folder as an archive.",
        ArchiveInput, None, Auth.OWNER, ("files", "pack"), None, no_tool_because=_NO_TOOL,
        body=Body.DOWNLOAD, scope="files", errors=PATHS, positional=("path",), ends_with_caller=True,
    ),
    Operation(
        "files.unpack", "PUT", "/sandbox/files/archive",
        "Unpack an archive into a folder: all of it, or nothing.",
        ArchiveInput, Unpacked, Auth.OWNER, ("files", "unpack"), None, no_tool_because=_NO_TOOL,
        body=Body.UPLOAD, scope="files", errors=(*PATHS, "disk_full", "body_too_large", "archive_invalid"),
        positional=("path",),
    ),
    Operation(
        "files.watch", "GET", "/sandbox/files/watch",
        "Follow what changes in a folder, for up to an hour.",
        WatchInput, None, Auth.OWNER, ("files", "watch"), None,
        no_tool_because="a stream without an end; agents list the folder again", body=Body.EVENTS,
        scope="files", errors=PATHS, positional=("path",), ends_with_caller=True,
    ),
)  # fmt: skip
