"""Which signal a WAIT node takes: one that was sent before it began, or one that comes."""

import json
from datetime import timedelta

from taskflow_core.executions.plan import Plan
from taskflow_core.executions.state import Need, Run, Signal
from taskflow_core.executions.values import truth_of
from taskflow_core.states import NodeRunStatus
from taskflow_core.workflows.expression_syntax import ExpressionError
from taskflow_core.workflows.graph import Wait, WaitMode


def take_signal(plan: Plan, run: Run, wait: Wait) -> bool:
    """Let a WAITING run take the oldest signal that it may; False if there is none, or the run has ended."""
    if plan.state.signals is None:
        if not plan.state.complete:
            raise Need(signals=True)
        return False
    for signal in plan.state.signals:
        if signal.id in plan.taken_signals or not _is_for(signal, run, wait):
            continue
        try:
            if wait.condition is not None and not truth_of(plan, run.scope, wait.condition, signal):
                continue
        except ExpressionError as error:
            plan.fail(run.path, "BadExpression", f"condition: {error}")
            return False
        plan.taken_signals[signal.id] = run.id
        _end(plan, run, wait, signal)
        return True
    return False


def _is_for(signal: Signal, run: Run, wait: Wait) -> bool:
    if signal.name != wait.signal or signal.node_run_id not in (None, run.id):
        return False
    began = run.started_at or run.created_at
    return wait.look_back is None or signal.created_at >= began - timedelta(seconds=wait.look_back)


def _end(plan: Plan, run: Run, wait: Wait, signal: Signal) -> None:
    payload = json.loads(signal.payload)
    if wait.mode is WaitMode.SIGNAL or payload.get("approved") is True:
        plan.end(run.path, NodeRunStatus.SUCCEEDED, result=payload)
    else:
        reason = payload.get("reason") or payload.get("comment") or "no reason was given"
        plan.fail(run.path, "Rejected", f"rejected by {signal.sender}: {reason}")
