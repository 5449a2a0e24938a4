"""Statistics: what happened, counted from the log as it is written, and how much work there is now.

`log.py` counts a part of the log. `rollup.py` does so piece by piece, in the scheduler, and keeps the figures.
Readers add what is not counted yet to what is, in one snapshot: so their numbers are exact, and no table of
tasks is ever counted.
"""
