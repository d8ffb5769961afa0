"""How long-lived processes collect garbage: not over and over through what was loaded at their start."""

import gc

YOUNG_OBJECTS = 20_000
"""Containers made before the youngest are looked through; Python's own default is 700."""


def spare_startup() -> None:
    """Called once everything is loaded: half a million objects of modules and classes live for ever, and looking through them
    cost a gate a fifth of its time. What is garbage already is kept too, a few MB: to look for it takes a tenth of a second.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 50)
