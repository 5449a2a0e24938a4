"""Webhooks: who is told of events, and how each delivery gets there.

Deliveries are planned by a trigger, in the transaction that writes the event (migration 0007). Workers claim and
send them (taskflow_worker/deliveries.py).
"""
