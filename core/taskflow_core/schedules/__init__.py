"""Schedules: what starts work again and again, and what became of each of its times."""
