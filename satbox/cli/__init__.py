"""The command line: `satbox VERB ...`. See `satbox.cli.main` for exit codes and output rules."""


def main() -> None:
    """The console script's entry."""
    import gc

    gc.disable()  # collecting while modules load costs a tenth of a command's start; on again before anything runs
    from satbox.cli.main import run

    run()
