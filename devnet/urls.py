"""Where a devnet's parts are, below one port."""

HOST = "127.0.0.1"
SERVICES = ("stacks", "relay", "aibtc", "prices", "devnet")


def devnet_urls(port: int) -> dict[str, str]:
    """Base URLs by part."""
    return {name: f"http://{HOST}:{port}/{name}" for name in SERVICES}
