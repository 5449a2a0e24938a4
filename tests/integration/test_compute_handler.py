"""`compute` as a task runs it: in a process, with progress."""

from support.contexts import make_context
from taskflow_worker.handlers.compute import compute
from taskflow_worker.processes import ProcessPool


async def test_compute_runs_in_a_process_and_reports_how_far_it_has_come():
    pool = ProcessPool(1)
    try:
        context, reported = make_context(processes=pool)
        result = await compute(context, {"operation": "primes", "limit": 5_000_000})
    finally:
        await pool.close()
    assert result["count"] == 348_513
    assert list(reported.percents) == sorted(reported.percents)
    assert reported.progress[-1].percent == 100
    assert reported.progress[-1].message == "348513 primes"
