"""An agent: its keys, its proof."""
