"""The command line: `satbox VERB ...`. See `satbox.cli.main` for exit codes and output rules."""


def main() -> None:
    """The console script's entry."""
    from satbox.cli.main import run

    run()
