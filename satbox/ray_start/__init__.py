"""What Ray runs in place of its own worker script and agents. Each file is run by its path."""
