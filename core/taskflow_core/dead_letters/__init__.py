"""Dead letters: tasks that FAILED and were neither replayed nor discarded since. A view over tasks.

One file for seeing them, one for each way to be rid of them.
"""
