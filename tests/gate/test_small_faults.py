"""Answers that were nearly right: reserved names of secrets, ranges past the end, upper-case URLs, readers that leave."""

from types import SimpleNamespace

import pytest

from gate.actions.git import _url
from gate.actions.secrets import _checked
from gate.wire.answers import error_response
from operations.errors import SatboxError
from operations.git import CloneInput
from operations.secrets import SetSecretInput


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "LD_PRELOAD", "LD_BIND_NOW", "BASH_ENV", "IFS", "HTTPS_PROXY", "no_proxy", "SATBOX_X", "Path"],
)
def test_a_variable_that_every_command_depends_on_is_no_secret(name: str) -> None:
    with pytest.raises(SatboxError) as refused:
        _checked(SetSecretInput(name=name, value="hidden", kind="env"), 0)

    assert (refused.value.code, refused.value.details) == ("secret_name_reserved", {"name": name})
    assert "hidden" not in str(refused.value.body("r"))


@pytest.mark.parametrize("name", ["API_KEY", "HOMEPAGE", "MY_PATH", "PATHS", "OLD_HOME"])
def test_other_variables_are(name: str) -> None:
    assert _checked(SetSecretInput(name=name, value="x", kind="env"), 0).name == name


def test_a_range_past_the_end_says_how_long_the_file_is() -> None:
    answer = error_response(SatboxError("range_invalid", details={"size_bytes": 7}), "req_1")

    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */7")
    assert "Content-Range" not in error_response(SatboxError("path_not_found"), "req_1").headers


@pytest.mark.parametrize(
    ("url", "secret", "sent"),
    [
        ("HTTPS://Code.Example/Group/Repo.git", None, "https://code.example/Group/Repo.git"),
        ("HTTPS://Code.Example/Group/Repo.git", "code", "http://code.satbox.internal/Group/Repo.git"),
        ("https://code.example/a?B=C", None, "https://code.example/a?B=C"),
    ],
)
def test_scheme_and_host_of_a_clone_are_taken_in_any_case(url: str, secret: str | None, sent: str) -> None:
    aliases = {"code": {"alias": "code", "upstream": "https://code.example/"}}
    given = CloneInput(url=url, path="x", secret=secret)

    assert _url(SimpleNamespace(), given, aliases) == sent  # type: ignore[arg-type]
