"""Processes forked off one that has imported what they run: most of a start is importing.

Forked off a process of its own, not off that of the tests, which has threads, event loops and channels of gRPC.
"""

import multiprocessing

FORKS = multiprocessing.get_context("forkserver")
# There is one such process, whoever needs it first.
FORKS.set_forkserver_preload(
    [
        "taskflow_cli.execution",
        "taskflow_cli.queue",
        "taskflow_cli.schedule",
        "taskflow_cli.stats",
        "taskflow_cli.task",
        "taskflow_cli.webhook",
        "taskflow_cli.workflow",
        "taskflow_worker.__main__",
        "taskflow_worker.handlers.http_request",
    ]
)
