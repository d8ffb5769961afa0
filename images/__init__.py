"""Boot images: what a sandbox starts from."""
