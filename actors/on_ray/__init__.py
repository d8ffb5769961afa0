"""Hosts, settlements and the oracle as actors on Ray, and how they are called."""
