"""Ids that sort by creation."""

import time

from taskflow_core.ids import new_id


def test_an_id_is_a_uuid_of_version_7_with_the_present_time():
    before = time.time_ns() // 1_000_000
    made = new_id()
    after = time.time_ns() // 1_000_000
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert before <= made.int >> 80 <= after


def test_ids_differ():
    assert len({new_id() for _ in range(10_000)}) == 10_000
