"""Single files and directories."""

from pydantic import Field

from operations.codes import PATHS
from operations.models import Done, Output, Target
from operations.registry import Auth, Body, Feature, Operation
from operations.surfaces import Option, Tool, Verb


class PathInput(Target):
    """A path; relative ones are below /workspace."""

    path: str = Field(min_length=1, max_length=4096, description="a path; relative ones are below /workspace")


class WriteInput(PathInput):
    """A file to write."""

    mode: str | None = Field(
        None, pattern=r"^[0-7]{3,4}$",
        description="the file's mode in octal, such as 755; default: the mode it has, 644 if it is new",
    )  # fmt: skip


class MoveInput(PathInput):
    """Move or rename."""

    to: str = Field(min_length=1, max_length=4096, description="the new path")
    overwrite: bool = Field(False, description="replace a file, or an empty directory, that is there already")


class FileInfo(Output):
    """One file, directory or link."""

    path: str
    name: str
    kind: str
    size_bytes: int
    mode: int | None = None
    modified_at: str | None = None
    target: str | None = Field(None, description="where a link leads, as it is written in it")


class FileList(Output):
    """What is in a directory."""

    path: str
    entries: list[FileInfo]
    truncated: bool = False


FEATURE = Feature(
    50,
    (
        Operation(
            "files.read", "GET", "/sandbox/files",
            "Read a file.",
            PathInput, None, Auth.OWNER, body=Body.DOWNLOAD, scope="files", errors=(*PATHS, "range_invalid"),
            positional=("path",), takes_ranges=True, ends_with_caller=True,
            verb=Verb(
                ("files", "read"), "read a file",
                options=(
                    Option("raw", "the bytes themselves on stdout", "flag"),
                    Option("output", "into a file", metavar="FILE"),
                ),
                run="files.copying:read",
            ),
            tool=Tool("satbox_read_file"),
        ),
        Operation(
            "files.write", "PUT", "/sandbox/files",
            "Write a file. Missing directories above it are made; it keeps its mode.",
            WriteInput, Done, Auth.OWNER, body=Body.UPLOAD, scope="files",
            errors=(*PATHS, "disk_full", "body_too_large"), positional=("path",),
            verb=Verb(
                ("files", "write"), "write a file",
                options=(
                    Option("source", "what to write (default: stdin)", flags=("--from",), default="-", metavar="FILE"),
                ),
                run="files.copying:write",
            ),
            tool=Tool("satbox_write_file", is_destructive=True, is_idempotent=True),
        ),
        Operation(
            "files.delete", "DELETE", "/sandbox/files",
            "Delete a file or a directory with all in it.",
            PathInput, Done, Auth.OWNER, scope="files", errors=PATHS, positional=("path",),
            verb=Verb(("files", "delete"), "delete a file or a directory with all in it"),
            tool=Tool("satbox_delete_file", is_destructive=True),
        ),
        Operation(
            "files.list", "GET", "/sandbox/files/list",
            "List a directory.",
            PathInput, FileList, Auth.OWNER, scope="files", errors=PATHS, positional=("path",),
            verb=Verb(
                ("files", "list"), "list a directory (default: /workspace)",
                help={"path": "a folder; relative ones are below /workspace, which is the default"},
                defaults={"path": "/workspace"}, form="sandbox.sandbox_tables:files",
            ),
            tool=Tool("satbox_list_files"),
        ),
        Operation(
            "files.stat", "GET", "/sandbox/files/stat",
            "See what a path is.",
            PathInput, FileInfo, Auth.OWNER, scope="files", errors=PATHS, positional=("path",),
            verb=Verb(("files", "stat"), "see what a path is"),
            tool=Tool("satbox_stat_file"),
        ),
        Operation(
            "files.mkdir", "POST", "/sandbox/files/mkdir",
            "Make a directory and its parents.",
            PathInput, Done, Auth.OWNER, scope="files", errors=PATHS, positional=("path",),
            verb=Verb(("files", "mkdir"), "make a directory and its parents"),
            tool=Tool("satbox_make_directory", is_idempotent=True),
        ),
        Operation(
            "files.move", "POST", "/sandbox/files/move",
            "Move or rename a file.",
            MoveInput, Done, Auth.OWNER, scope="files", errors=(*PATHS, "path_exists"), positional=("path", "to"),
            verb=Verb(("files", "move"), "move or rename a file"),
            tool=Tool("satbox_move_file"),
        ),
    ),
    verb_groups={"files": "work with files in the sandbox"},
)  # fmt: skip
