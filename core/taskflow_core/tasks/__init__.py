"""Tasks: one file for each arrow of their state machine, and one for reading.

Every status is written by one guarded UPDATE, in the function named after the arrow.
"""
