"""A sandbox and what runs in it."""
