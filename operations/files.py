"""Single files and directories."""

from operations import models as m
from operations.codes import PATHS
from operations.registry import Auth, Body, Feature, Operation
from operations.surfaces import Option, Tool, Verb

FEATURE = Feature(
    50,
    (
        Operation(
            "files.read", "GET", "/sandbox/files",
            "Read a file.",
            m.PathInput, None, Auth.OWNER, body=Body.DOWNLOAD, scope="files", errors=(*PATHS, "range_invalid"),
            positional=("path",), takes_ranges=True, ends_with_caller=True,
            verb=Verb(
                ("files", "read"), "read a file",
                options=(
                    Option("raw", "the bytes themselves on stdout", "flag"),
                    Option("output", "into a file", metavar="FILE"),
                ),
                run="copying:read",
            ),
            tool=Tool("satbox_read_file"),
        ),
        Operation(
            "files.write", "PUT", "/sandbox/files",
            "Write a file. Missing directories above it are made; it keeps its mode.",
            m.WriteInput, m.Done, Auth.OWNER, body=Body.UPLOAD, scope="files",
            errors=(*PATHS, "disk_full", "body_too_large"), positional=("path",),
            verb=Verb(
                ("files", "write"), "write a file",
                options=(
                    Option("source", "what to write (default: stdin)", flags=("--from",), default="-", metavar="FILE"),
                ),
                run="copying:write",
            ),
            tool=Tool("satbox_write_file", is_destructive=True, is_idempotent=True),
        ),
        Operation(
            "files.delete", "DELETE", "/sandbox/files",
            "Delete a file or a directory with all in it.",
            m.PathInput, m.Done, Auth.OWNER, scope="files", errors=PATHS, positional=("path",),
            verb=Verb(("files", "delete"), "delete a file or a directory with all in it"),
            tool=Tool("satbox_delete_file", is_destructive=True),
        ),
        Operation(
            "files.list", "GET", "/sandbox/files/list",
            "List a directory.",
            m.PathInput, m.FileList, Auth.OWNER, scope="files", errors=PATHS, positional=("path",),
            verb=Verb(
                ("files", "list"), "list a directory (default: /workspace)",
                help={"path": "a folder; relative ones are below /workspace, which is the default"},
                defaults={"path": "/workspace"}, form="sandbox_tables:files",
            ),
            tool=Tool("satbox_list_files"),
        ),
        Operation(
            "files.stat", "GET", "/sandbox/files/stat",
            "See what a path is.",
            m.PathInput, m.FileInfo, Auth.OWNER, scope="files", errors=PATHS, positional=("path",),
            verb=Verb(("files", "stat"), "see what a path is"),
            tool=Tool("satbox_stat_file"),
        ),
        Operation(
            "files.mkdir", "POST", "/sandbox/files/mkdir",
            "Make a directory and its parents.",
            m.PathInput, m.Done, Auth.OWNER, scope="files", errors=PATHS, positional=("path",),
            verb=Verb(("files", "mkdir"), "make a directory and its parents"),
            tool=Tool("satbox_make_directory", is_idempotent=True),
        ),
        Operation(
            "files.move", "POST", "/sandbox/files/move",
            "Move or rename a file.",
            m.MoveInput, m.Done, Auth.OWNER, scope="files", errors=(*PATHS, "path_exists"), positional=("path", "to"),
            verb=Verb(("files", "move"), "move or rename a file"),
            tool=Tool("satbox_move_file"),
        ),
    ),
    verb_groups={"files": "work with files in the sandbox"},
)  # fmt: skip
