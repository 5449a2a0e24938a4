"""Named queues: their limits, who gets in, and who waits for room.

A queue without settings has no row and costs a claim nothing. In one that is paused or limited, a claim
takes the queue's row lock, counts what runs, and marks as *held* what there is no room for. Held tasks
have no hint in Redis; they get one when room comes.
"""
