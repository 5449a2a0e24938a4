"""What webhooks are told of a fire, in functions: by the trigger as it happens, and by a recovery later."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# NULL for a fire that waits: it is told of when it has been decided on.
TYPE = """
CREATE FUNCTION fire_event_type(outcome text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE outcome
  WHEN 'BUFFERED' THEN NULL
  WHEN 'FIRED' THEN 'schedule.fired'
  WHEN 'MISSED' THEN 'schedule.missed'
  ELSE 'schedule.skipped' END
"""

# The fire itself is the subject: fires that are decided together have the same time. The same in every time zone.
SUBJECT = """
CREATE FUNCTION fire_subject(of_schedule uuid, fire_time timestamptz) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN md5(of_schedule || ' ' || extract(epoch FROM fire_time))::uuid
"""

# `fire` is the whole row.
TOLD = """
CREATE FUNCTION told_of_fire(fire jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN jsonb_build_object(
  'fire', fire - '{tenant_id,overlap_policy,open,request_id,request_digest}'::text[])
"""

# As with the other triggers, without webhooks it costs the look at an empty index. A fire that started work is
# written again when the work has ended, and then is no longer open.
PLAN = """
CREATE OR REPLACE FUNCTION plan_schedule_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM webhooks WHERE status = 'ENABLED') THEN
    RETURN NULL;
  END IF;
  PERFORM plan_webhooks(
      f.tenant_id, fire_event_type(f.outcome), fire_subject(f.schedule_id, f.fire_time), 0, f.actual_time,
      told_of_fire(to_jsonb(f)),
      of_execution => f.execution_id, of_schedule => f.schedule_id, of_task => f.task_id)
  FROM (
    SELECT * FROM decided WHERE outcome <> 'BUFFERED' AND (outcome <> 'FIRED' OR open)
    ORDER BY schedule_id, fire_time
  ) AS f;
  RETURN NULL;
END $$
"""

PLAN_BEFORE = """
CREATE OR REPLACE FUNCTION plan_schedule_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
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


def upgrade() -> None:
    for statement in (TYPE, SUBJECT, TOLD, PLAN):
        op.execute(statement)


def downgrade() -> None:
    op.execute(PLAN_BEFORE)
    for function in ("told_of_fire", "fire_subject", "fire_event_type"):
        op.execute(f"DROP FUNCTION {function}")
