"""What a client install lacks: the packages that only the service needs, by the name they are imported by."""

SERVER_MODULES = (
    "apscheduler",
    "prometheus_client",
    "pydantic_settings",
    "pyseccomp",
    "ray",
    "sqlite_utils",
    "uvloop",
    "zstandard",
)
"""The extra `server` of `pyproject.toml`. Nothing that a client does imports one of them."""
INSTALL_SERVER = "pip install 'satbox[server]'"


def missing_server_modules() -> list[str]:
    """Those that are not installed here; looked for, not imported."""
    from importlib.util import find_spec

    return [name for name in SERVER_MODULES if find_spec(name) is None]


def lacks_server(missing: list[str]) -> str:
    """In words: why a verb of the service does not run here."""
    return f"This is the client alone, without the service ({', '.join(missing)} not installed)."
