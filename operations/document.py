"""`python -m operations.document` writes design/errors.md from the table of errors; a test fails when it is out of date."""

from pathlib import Path

from operations.errors import ERRORS

TARGET = Path(__file__).resolve().parents[1] / "design" / "errors.md"


def errors_markdown() -> str:
    """Every error code with its status, whether a retry helps, what it means and what to do."""
    lines = [
        "# Errors",
        "",
        'Every error is `{error: {code, message, retryable, funds_moved: true|false|"unknown", hint, details}, request_id}`.',
        "Branch on `code`; a code never changes its meaning. `funds_moved` is the truth at the time of the answer.",
        "Made from `operations/errors/` by `python -m operations.document`.",
        "",
        "| code | status | retry | meaning | what to do |",
        "|---|---|---|---|---|",
    ]
    for kind in ERRORS.values():
        retry = "yes" if kind.retryable else ""
        lines.append(f"| `{kind.code}` | {kind.status} | {retry} | {kind.message} | {kind.hint} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(errors_markdown())
