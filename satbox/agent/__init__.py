"""An agent: its two keys, what it signs with them, and the payments it makes."""
