from operations.document import TARGET, errors_markdown


def test_every_error_code_is_documented() -> None:
    assert TARGET.read_text() == errors_markdown()
