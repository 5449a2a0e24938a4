"""taskflow.v1.DeadLetterService: unpack, call core, pack."""

from taskflow_core.app import App
from taskflow_core.tasks.read import PageRequest
from taskflow_proto.v1 import (
    dead_letter_service_pb2,
    dead_letter_service_pb2_grpc,
    task_pb2,
    task_service_pb2,
)
from taskflow_server import pack, unpack
from taskflow_server.auth import current_principal
from taskflow_server.metadata import Context, idempotency_key
from taskflow_server.unpack.tasks import DEFAULT_QUEUE


class DeadLetterService(dead_letter_service_pb2_grpc.DeadLetterServiceServicer):
    """Shows, sums up, replays and discards dead letters."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def ListDeadLetters(
        self, request: dead_letter_service_pb2.ListDeadLettersRequest, context: Context
    ) -> dead_letter_service_pb2.ListDeadLettersResponse:
        full = request.view == task_service_pb2.FULL
        page = await self._app.dead_letters.list(
            current_principal().tenant_id,
            PageRequest(request.page_size, request.page_token),
            filter=request.filter,
            order_by=request.order_by,
            full=full,
        )
        return dead_letter_service_pb2.ListDeadLettersResponse(
            dead_letters=[pack.dead_letter(row, full=full) for row in page.rows],
            next_page_token=page.next_page_token,
        )

    async def SummarizeDeadLetters(
        self, request: dead_letter_service_pb2.SummarizeDeadLettersRequest, context: Context
    ) -> dead_letter_service_pb2.SummarizeDeadLettersResponse:
        summary = await self._app.dead_letters.summarize(
            current_principal().tenant_id,
            PageRequest(request.page_size, request.page_token),
            filter=request.filter,
        )
        return dead_letter_service_pb2.SummarizeDeadLettersResponse(
            groups=map(pack.dead_letter_group, summary.page.rows),
            next_page_token=summary.page.next_page_token,
            total_count=summary.total,
        )

    async def ReplayDeadLetters(
        self, request: dead_letter_service_pb2.ReplayDeadLettersRequest, context: Context
    ) -> task_pb2.Task:
        principal = current_principal()
        order = unpack.replay_order(request, self._app.settings)
        new = order.task(
            tenant_id=principal.tenant_id,
            actor=principal.subject,
            queue=DEFAULT_QUEUE,
            priority="NORMAL",
            request_id=request.request_id or idempotency_key(context) or None,
        )
        if request.validate_only:
            task = pack.preview(new)
            task.progress.total = await self._app.dead_letters.count(principal.tenant_id, order.selection)
            return task
        return pack.task(await self._app.creation.create(new))

    async def DiscardDeadLetters(
        self, request: dead_letter_service_pb2.DiscardDeadLettersRequest, context: Context
    ) -> dead_letter_service_pb2.DiscardDeadLettersResponse:
        principal = current_principal()
        discarded = await self._app.dead_letter_discard.discard(
            principal.tenant_id, unpack.dead_letters(request), principal.subject, request.reason
        )
        return dead_letter_service_pb2.DiscardDeadLettersResponse(
            discarded_count=discarded.count, more=discarded.more
        )
