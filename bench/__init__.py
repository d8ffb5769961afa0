"""Kept measurements. `python -m bench` runs them all; each module measures one part and prints its figures."""
