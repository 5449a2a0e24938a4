"""The trigger that plans deliveries with the events of executions, and the index to count executions by."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# What webhooks tell of an event of an execution: it and the node run as they are after the event, whatever has
# happened since. Inputs and outputs may be large, and whoever wants them can read them.
TOLD = """
CREATE FUNCTION told_of_execution(
  of_execution uuid, number integer, of_kind text, new_status text, happened_at timestamptz, logged jsonb
) RETURNS jsonb LANGUAGE sql STABLE
RETURN (
  SELECT jsonb_build_object('execution', to_jsonb(x) || jsonb_build_object(
      'status', new_status,
      'last_sequence', number,
      'error', CASE WHEN new_status NOT IN ('RUNNING', 'SUCCEEDED') THEN coalesce(logged -> 'error', x.error) END,
      'failed_node_id', CASE WHEN new_status NOT IN ('RUNNING', 'SUCCEEDED') THEN x.failed_node_id END,
      'finished_at',
      CASE WHEN of_kind IN ('SUCCEEDED', 'FAILED', 'CANCELLED') THEN coalesce(x.finished_at, happened_at) END))
    || CASE WHEN logged ? 'node_run'
      THEN jsonb_build_object(
        'node_run', logged -> 'node_run' || jsonb_build_object('execution_id', of_execution))
      ELSE '{}' END
  FROM (
    SELECT id, name, workflow_id, workflow_name, workflow_version, priority, tags, expire_at, status, error,
      failed_node_id, cancel_requested_at, last_sequence, created_at, finished_at, schedule_id,
      parent_execution_id, parent_node_run_id, source_execution_id
    FROM workflow_executions WHERE id = of_execution
  ) AS x
)
"""

# Which events of executions webhooks are told of, and by which names.
TYPES = """
CREATE FUNCTION execution_event_type(kind text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE kind
  WHEN 'CREATED' THEN 'workflow.started'
  WHEN 'NODE_WAITING' THEN 'workflow.waiting'
  WHEN 'NODE_SUCCEEDED' THEN 'workflow.node_completed'
  WHEN 'NODE_FAILED' THEN 'workflow.node_completed'
  WHEN 'SUCCEEDED' THEN 'workflow.success'
  WHEN 'FAILED' THEN 'workflow.failed'
  WHEN 'CANCELLED' THEN 'workflow.cancelled' END
"""

# As with task events: the statements that write the log know nothing of webhooks, and without webhooks it costs the
# look at an empty index.
PLAN = """
CREATE FUNCTION plan_execution_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM webhooks WHERE status = 'ENABLED') THEN
    RETURN NULL;
  END IF;
  PERFORM plan_webhooks(
      e.tenant_id, e.event_type, e.execution_id, e.sequence, e.created_at,
      told_of_execution(e.execution_id, e.sequence, e.kind, e.status, e.created_at, e.data),
      of_execution => e.execution_id)
  FROM (
    SELECT *, execution_event_type(kind) AS event_type FROM written ORDER BY execution_id, sequence
  ) AS e
  WHERE coalesce((
    SELECT true FROM webhooks w
    WHERE w.tenant_id = e.tenant_id AND w.status = 'ENABLED' AND webhook_wants(w.event_types, e.event_type)
    LIMIT 1), false);
  RETURN NULL;
END $$
"""

TRIGGER = """
CREATE TRIGGER plan_webhooks AFTER INSERT ON execution_events REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION plan_execution_webhooks()
"""


def upgrade() -> None:
    op.create_index("workflow_executions_status", "workflow_executions", ["tenant_id", "status"])
    for statement in (TOLD, TYPES, PLAN, TRIGGER):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER plan_webhooks ON execution_events")
    op.execute("DROP FUNCTION plan_execution_webhooks")
    op.execute("DROP FUNCTION execution_event_type")
    op.execute("DROP FUNCTION told_of_execution")
    op.drop_index("workflow_executions_status", "workflow_executions")
