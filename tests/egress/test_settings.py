"""What an operator can say, and what is refused when it is said wrongly."""

import pytest
from pydantic import ValidationError

from sandboxes.egress import EgressSettings
from sandboxes.egress.guest import read_origin


def test_a_fresh_install_allows_nothing() -> None:
    assert EgressSettings().allowed("SP1", "small") == ()


def test_class_and_wallet_add_to_what_all_may() -> None:
    settings = EgressSettings(
        allow=("a.test", "@code"), allow_by_class={"medium": ("*",)}, allow_by_address={"SP1": ("B.test", "a.test")},
        presets={"code": ("*.git.test:9418", "git.test")},
    )  # fmt: skip

    assert settings.allowed("SP2", "small") == ("a.test", "*.git.test:9418", "git.test")
    assert settings.allowed("SP1", "medium") == ("a.test", "*.git.test:9418", "git.test", "*", "b.test")


@pytest.mark.parametrize(
    "wrong",
    [
        {"allow": ["@unknown"]}, {"allow": ["http://a.test"]}, {"allow": ["a.*"]}, {"allow": ["*a.test"]}, {"allow": [""]},
        {"allow": ["a.test:0"]}, {"allow": ["a.test:99999"]}, {"allow": ["a test"]}, {"allow": ["*.1.2.3.4"]},
        {"allow_by_class": {"nano": ["1.2.3.4.5"]}}, {"internal": {"gate.test": "127.0.0.1:1"}}, {"uid": 0},
        {"internal": {"x.satbox.internal": "ftp://127.0.0.1"}}, {"internal": {"x.satbox.internal": "http://u@h"}},
        {"internal": {"x.satbox.internal": "http://h/?q"}}, {"refuse": ["10.0.0.1/8"]}, {"surprise": 1},
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_at_the_start(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EgressSettings.model_validate(wrong)


def test_an_alias_may_be_written_short() -> None:
    settings = EgressSettings(
        internal={"gate.satbox.internal": "127.0.0.1:4020", "x.satbox.internal": "https://h.test/v1/"}
    )

    gate, other = (read_origin(url) for url in settings.internal.values())
    assert (gate.url, gate.destination.port) == ("http://127.0.0.1:4020", 4020)
    assert (other.scheme, other.destination.host, other.destination.port, other.path) == ("https", "h.test", 443, "/v1")
    assert EgressSettings.model_validate_json(settings.model_dump_json()) == settings
