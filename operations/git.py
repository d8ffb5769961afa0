"""git: a repository into the workspace, through the egress proxy."""

from pydantic import Field

from operations.codes import RUNNING
from operations.models import Output, Target
from operations.registry import Auth, Feature, Operation
from operations.surfaces import Tool, Verb


class CloneInput(Target):
    """What to clone, and where to."""

    url: str = Field(
        min_length=1,
        max_length=2048,
        description="https://host/path; or http://ALIAS.satbox.internal/path of a secret that is added outside",
    )
    path: str = Field("/workspace/repo", max_length=1024, description="a folder that does not exist yet, or is empty")
    branch: str | None = Field(None, max_length=255, description="a branch or tag; default: the repository's own")
    depth: int | None = Field(None, ge=1, le=1_000_000, description="only so many commits of history")
    secret: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$",
        description="the name of a secret that is added outside: the url's origin becomes its alias",
    )
    timeout_seconds: float = Field(300, gt=0, le=3600, description="give up after so many seconds")


class Cloned(Output):
    """What was cloned. `files` and `bytes` are those of the commit that is checked out."""

    path: str
    commit: str
    branch: str | None = None
    files: int
    bytes: int


FEATURE = Feature(
    100,
    (
        Operation(
            "git.clone", "POST", "/sandbox/git/clone",
            "Clone a git repository into the workspace, through the egress proxy. Hooks do not run, submodules are left out.",
            CloneInput, Cloned, Auth.OWNER, scope="exec",
            errors=(*RUNNING, "git_unavailable", "clone_failed", "secret_not_found", "path_exists", "timeout"),
            positional=("url", "path"), ends_with_caller=True,
            verb=Verb(("git", "clone"), "clone a git repository into the workspace"),
            tool=Tool("satbox_git_clone"),
        ),
    ),
    verb_groups={"git": "get code"},
)  # fmt: skip
