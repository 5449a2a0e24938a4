"""The triggers that plan deliveries with what becomes of fires of schedules."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# A fire that waits is told of when it has been decided on. The fire itself is the subject: fires that are decided
# together have the same time. As with the other triggers, without webhooks it costs the look at an empty index.
PLAN = """
CREATE FUNCTION plan_schedule_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM webhooks WHERE status = 'ENABLED') THEN
    RETURN NULL;
  END IF;
  PERFORM plan_webhooks(
      f.tenant_id, f.event_type, md5(f.schedule_id || ' ' || f.fire_time)::uuid, 0, f.actual_time,
      jsonb_build_object('fire', jsonb_build_object(
        'schedule_id', f.schedule_id, 'fire_time', f.fire_time, 'outcome', f.outcome, 'trigger', f.trigger,
        'actual_time', f.actual_time, 'start_time', f.start_time, 'run_number', f.run_number,
        'task_id', f.task_id, 'execution_id', f.execution_id, 'reason', f.reason)),
      of_execution => f.execution_id, of_schedule => f.schedule_id, of_task => f.task_id)
  FROM (
    SELECT *, CASE outcome
      WHEN 'FIRED' THEN 'schedule.fired' WHEN 'MISSED' THEN 'schedule.missed' ELSE 'schedule.skipped' END AS event_type
    FROM decided WHERE outcome <> 'BUFFERED' AND (outcome <> 'FIRED' OR open)
    ORDER BY schedule_id, fire_time
  ) AS f;
  RETURN NULL;
END $$
"""

TRIGGER = """
CREATE TRIGGER plan_webhooks_{0} AFTER {0} ON schedule_fires REFERENCING NEW TABLE AS decided
FOR EACH STATEMENT EXECUTE FUNCTION plan_schedule_webhooks()
"""


def upgrade() -> None:
    op.execute(PLAN)
    for change in ("insert", "update"):
        op.execute(TRIGGER.format(change))


def downgrade() -> None:
    for change in ("insert", "update"):
        op.execute(f"DROP TRIGGER plan_webhooks_{change} ON schedule_fires")
    op.execute("DROP FUNCTION plan_schedule_webhooks")
