"""Which dead letters a call is about, and what a replay is to do."""

from taskflow_core.dead_letters.replay import ReplayOrder
from taskflow_core.dead_letters.selection import Selection
from taskflow_core.settings import Settings
from taskflow_proto.v1 import dead_letter_service_pb2
from taskflow_server.unpack.values import payload, task_ids


def dead_letters(
    request: dead_letter_service_pb2.ReplayDeadLettersRequest
    | dead_letter_service_pb2.DiscardDeadLettersRequest,
) -> Selection:
    """Which dead letters a call is about."""
    if request.WhichOneof("selection") == "ids":
        return Selection(ids=tuple(task_ids(request.ids)))
    return Selection(filter=request.filter)


def replay_order(
    request: dead_letter_service_pb2.ReplayDeadLettersRequest, settings: Settings
) -> ReplayOrder:
    """What a replay is to do. Raises InvalidArgument (INVALID_FIELDS, NUMBER_NOT_EXACT, LIMIT_EXCEEDED)."""
    with_payload = request.WhichOneof("payload_kind") is not None
    return ReplayOrder(
        dead_letters(request),
        payload(request, settings.max_payload_bytes) if with_payload else None,
        request.max_rate,
        request.reason,
    )
