"""How Python looks for cycles of garbage in processes that live long and work in batches."""

import gc

# New objects between two looks. The default of 700 is less than what one batch of tasks makes.
OBJECTS = 10_000


def keep_what_is_loaded() -> None:
    """Call it once, before the work begins: modules and definitions of classes are never looked through again.

    Otherwise each full look takes tens of milliseconds, in which nothing else goes on.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS, 10, 10)
