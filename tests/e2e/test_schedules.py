"""The story of a schedule over REST: made, fired, explained, steered, and taken away."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from support.command_line import CommandLine
from taskflow_cli.schedule import schedule as schedule_command

DAILY_REPORT = {
    "name": "Daily Report",
    "task_type": "email",
    "task_name": "Send Report",
    "schedule_type": "cron",
    "cron_expression": "0 9 * * *",
}


def call(rest: httpx.Client, method: str, path: str, **arguments: Any) -> dict[str, Any]:
    answer = rest.request(method, f"/api/v1{path}", **arguments)
    assert answer.is_success, answer.text
    body: dict[str, Any] = answer.json()
    return body


def reason_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["details"][0]["reason"]


def test_the_daily_report_is_scheduled_verbatim(rest: httpx.Client):
    schedule = call(rest, "POST", "/schedules", json=DAILY_REPORT)
    assert (schedule["status"], schedule["schedule_type"], schedule["time_zone"]) == ("ACTIVE", "CRON", "UTC")
    assert (schedule["task_name"], schedule["overlap_policy"]) == ("Send Report", "SKIP")
    nine = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0)
    expected = nine if nine > datetime.now(UTC) else nine + timedelta(days=1)
    assert datetime.fromisoformat(schedule["next_fire_time"]) == expected
    assert call(rest, "GET", f"/schedules/{schedule['id']}") == schedule
    same = call(rest, "PATCH", f"/schedules/{schedule['id']}", json=schedule, params={"update_mask": "*"})
    assert {**same, "etag": "", "update_time": ""} == {**schedule, "etag": "", "update_time": ""}
    schedule = same
    tried = call(
        rest,
        "POST",
        "/schedules",
        json=DAILY_REPORT | {"daylight_saving": {}},
        params={"validate_only": "true"},
    )
    assert (tried["id"], tried["daylight_saving"]) == ("", schedule["daylight_saving"])
    [listed] = call(rest, "GET", "/schedules", params={"filter": "task_type = email"})["schedules"]
    assert listed == schedule


EVERYTHING = {
    "name": "Everything",
    "description": "all that can be said",
    "task_type": "echo",
    "task_name": "Echo",
    "payload": {"to": "all"},
    "payload_expressions": {"day": "fire.time.getDate(schedule.time_zone)"},
    "priority": "HIGH",
    "queue": "reports",
    "tags": ["a", "b"],
    "retry_policy": {"max_attempts": 7, "initial_backoff": "2s"},
    "attempt_timeout": "12s",
    "expire_after": "3600s",
    "schedule_type": "CRON",
    "cron_expressions": ["0 9 * * mon-fri", "0 12 LW * *", "30 8 * * fri#2"],
    "time_zone": "America/New_York",
    "daylight_saving": {"gap": "SKIP", "fold": "BOTH"},
    "jitter": "30s",
    "start_time": "2026-01-01T00:00:00Z",
    "end_time": "2099-01-01T00:00:00Z",
    "max_runs": 5,
    "exclude_dates": ["2026-12-25"],
    "exclude_cron_expressions": ["* * 1 1 *"],
    "overlap_policy": "BUFFER_ALL",
    "catch_up_policy": "LATEST",
    "catch_up_window": "7200s",
    "pause_on_failure": True,
}


def test_all_that_can_be_said_of_a_schedule_is_kept(rest: httpx.Client):
    schedule = call(rest, "POST", "/schedules", json=EVERYTHING)
    assert {name: schedule[name] for name in EVERYTHING if name != "retry_policy"} == {
        name: value for name, value in EVERYTHING.items() if name != "retry_policy"
    }
    assert (schedule["retry_policy"]["max_attempts"], schedule["retry_policy"]["initial_backoff"]) == (
        7,
        "2s",
    )
    assert call(rest, "GET", f"/schedules/{schedule['id']}") == schedule


def test_an_interval_and_a_single_time_are_kept_with_the_next_time(rest: httpx.Client):
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    text = soon.isoformat().replace("+00:00", "Z")
    each = call(
        rest,
        "POST",
        "/schedules",
        json={"name": "each", "task_type": "echo", "interval": "90s", "anchor_time": text},
    )
    assert (each["schedule_type"], each["interval"], each["anchor_time"]) == ("INTERVAL", "90s", text)
    next_time = datetime.fromisoformat(each["next_fire_time"])
    assert (soon - next_time) % timedelta(seconds=90) == timedelta()
    assert timedelta() < next_time - datetime.now(UTC) <= timedelta(seconds=90)
    once = call(rest, "POST", "/schedules", json={"name": "once", "task_type": "echo", "run_time": text})
    assert (once["schedule_type"], once["run_time"], once["next_fire_time"]) == ("ONE_TIME", text, text)


def test_each_second_brings_a_task_until_all_runs_are_done(rest: httpx.Client):
    schedule = call(
        rest,
        "POST",
        "/schedules",
        json={
            "name": "each second",
            "task_type": "echo",
            "cron_expression": "* * * * * *",
            "overlap_policy": "ALLOW_ALL",
            "max_runs": 2,
            "payload": {"to": "you"},
            "payload_expressions": {"number": "fire.run_number", "due": "fire.time"},
        },
    )
    path = f"/schedules/{schedule['id']}"
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    while call(rest, "GET", path)["status"] != "COMPLETED":
        assert datetime.now(UTC) < deadline
    fires = call(rest, "GET", f"{path}/fires", params={"order_by": "fire_time"})["fires"]
    assert [(fire["outcome"], fire["trigger"], fire["run_number"]) for fire in fires] == [
        ("FIRED", "TIME", 1),
        ("FIRED", "TIME", 2),
    ]
    for fire in fires:
        task = call(rest, "GET", f"/tasks/{fire['task_id']}:wait", params={"timeout": "20s"})
        assert (task["status"], task["schedule_id"]) == ("SUCCEEDED", schedule["id"])
        assert (task["payload"]["number"], task["payload"]["to"]) == (fire["run_number"], "you")
        late = datetime.fromisoformat(fire["actual_time"]) - datetime.fromisoformat(fire["fire_time"])
        assert late < timedelta(seconds=5)


def test_figures_tell_what_became_of_fires(rest: httpx.Client):
    schedule = call(rest, "POST", "/schedules", json=DAILY_REPORT | {"task_type": "echo"})
    fire = call(rest, "POST", f"/schedules/{schedule['id']}:trigger", json={})
    call(rest, "GET", f"/tasks/{fire['task_id']}:wait", params={"timeout": "20s"})
    call(
        rest, "POST", f"/schedules/{call(rest, 'POST', '/schedules', json=DAILY_REPORT)['id']}:pause", json={}
    )
    figures = call(rest, "GET", "/stats/schedules")
    assert (figures["current"]["total"], figures["current"]["paused"]) == (2, 1)
    assert (figures["total"]["fired"], figures["total"]["succeeded"]) == (1, 1)
    [one] = figures["by_schedule"]
    assert (one["schedule_id"], one["name"], one["fired"]) == (schedule["id"], "Daily Report", 1)
    refused = rest.get(
        "/api/v1/stats/schedules",
        params={"start_time": "2026-02-01T00:00:00Z", "end_time": "2026-01-01T00:00:00Z"},
    )
    assert refused.status_code == 400


def test_a_schedule_is_changed_paused_resumed_triggered_backfilled_and_deleted(rest: httpx.Client):
    schedule = call(rest, "POST", "/schedules", json=DAILY_REPORT | {"task_type": "echo"})
    path = f"/schedules/{schedule['id']}"

    changed = call(rest, "PATCH", path, json={"time_zone": "Europe/Berlin", "etag": schedule["etag"]})
    assert (changed["time_zone"], changed["cron_expression"]) == ("Europe/Berlin", "0 9 * * *")
    stale = rest.patch(f"/api/v1{path}", json={"name": "other", "etag": schedule["etag"]})
    assert reason_of(stale) == (409, "ETAG_MISMATCH")

    paused = call(rest, "POST", f"{path}:pause", json={"note": "holidays"})
    assert (paused["status"], paused["note"], "next_fire_time" in paused) == ("PAUSED", "holidays", False)
    fire = call(rest, "POST", f"{path}:trigger", json={"request_id": "once"})
    assert (fire["outcome"], fire["trigger"]) == ("FIRED", "MANUAL")
    assert call(rest, "POST", f"{path}:trigger", json={"request_id": "once"}) == fire
    task = call(rest, "GET", f"/tasks/{fire['task_id']}:wait", params={"timeout": "20s"})
    assert task["status"] == "SUCCEEDED"
    resumed = call(rest, "POST", f"{path}:resume", json={})
    assert (resumed["status"], resumed["fire_counts"]["triggered"]) == ("ACTIVE", 1)

    now = datetime.now(UTC)
    done = call(
        rest,
        "POST",
        f"{path}:backfill",
        json={
            "start_time": (now - timedelta(days=3)).isoformat(),
            "end_time": now.isoformat(),
            "overlap_policy": "ALLOW_ALL",
        },
    )
    assert (done["fired_count"], done["existing_count"]) == (3, 0)
    filtered = call(rest, "GET", f"{path}/fires", params={"filter": "trigger = BACKFILL"})
    assert len(filtered["fires"]) == 3

    call(rest, "DELETE", path)
    assert reason_of(rest.get(f"/api/v1{path}")) == (404, "NOT_FOUND")


def test_what_no_schedule_can_be_is_refused_by_name(rest: httpx.Client):
    def refused(**fields: Any) -> str:
        answer = rest.post("/api/v1/schedules", json=DAILY_REPORT | fields)
        assert answer.status_code == 400, answer.text
        [bad] = [detail for detail in answer.json()["details"] if "field_violations" in detail]
        return str(bad["field_violations"][0]["field"])

    assert refused(cron_expression="0 25 * * *") == "schedule.cron_expression"
    assert refused(cron_expression="0 0 30 2 *") == "schedule.cron_expression"
    assert refused(time_zone="Mars/Olympus") == "schedule.time_zone"
    assert refused(start_time="2026-02-01T00:00:00Z", end_time="2026-01-01T00:00:00Z") == "schedule.end_time"
    assert refused(interval="0s") == "schedule.interval"
    assert refused(task_type="") == "schedule.task_type"
    assert refused(payload_expressions={"x": "fire.nothing"}) == 'schedule.payload_expressions["x"]'
    assert refused(workflow_id="01890a5d-ac96-774b-bcce-b302099a8057") == "schedule.workflow_id"
    assert call(rest, "GET", "/schedules")["schedules"] == []


def test_a_change_that_is_wrong_is_refused_by_name_and_changes_nothing(rest: httpx.Client):
    schedule = call(rest, "POST", "/schedules", json=DAILY_REPORT)
    path = f"/api/v1/schedules/{schedule['id']}"

    def refused(answer: httpx.Response) -> str:
        assert answer.status_code == 400, answer.text
        [bad] = [detail for detail in answer.json()["details"] if "field_violations" in detail]
        return str(bad["field_violations"][0]["field"])

    for field, wrong in (
        ("cron_expression", "0 0 30 2 *"),
        ("time_zone", "Mars/Olympus"),
        ("interval", "3600s"),
        ("jitter", "-1s"),
        ("overlap_policy", 77),
        ("max_runs", -1),
        ("name", ""),
    ):
        answer = rest.patch(path, json={field: wrong}, params={"update_mask": field})
        assert refused(answer) == f"schedule.{field}"
    times = {"start_time": "2027-02-01T00:00:00Z", "end_time": "2027-01-01T00:00:00Z"}
    assert refused(rest.patch(path, json=times)) == "schedule.end_time"
    assert refused(rest.post(f"{path}:backfill", json=times)) == "end_time"
    ahead = {"start_time": "2027-01-01T00:00:00Z", "end_time": "2099-01-01T00:00:00Z"}
    assert refused(rest.post(f"{path}:backfill", json=ahead)) == "end_time"
    assert call(rest, "GET", f"/schedules/{schedule['id']}") == schedule


def test_times_are_previewed_before_and_after_creating(rest: httpx.Client):
    spring = {"cron_expression": "30 2 * * *", "time_zone": "Europe/Berlin"}
    range_ = {"count": 3, "start_time": "2026-03-28T00:00:00Z"}
    tried = call(rest, "POST", "/schedules:preview", json={"schedule": spring, **range_})
    assert [fire["local_time"] for fire in tried["fires"]] == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]
    assert [fire["clock_change"] for fire in tried["fires"]] == [False, True, False]
    schedule = call(rest, "POST", "/schedules", json=DAILY_REPORT | spring)
    kept = call(rest, "GET", f"/schedules/{schedule['id']}:preview", params=range_)
    assert kept == tried | {"time_zone": "Europe/Berlin"}
    from_the_first_year = {"start_time": "0001-01-01T00:00:00Z", "count": 1}
    earliest = call(rest, "POST", "/schedules:preview", json={"schedule": spring, **from_the_first_year})
    assert earliest["fires"][0]["fire_time"].startswith("1970-")
    refused = rest.post("/api/v1/schedules:preview", json={"schedule": {"cron_expression": "x"}})
    assert (refused.status_code, "schedule.cron_expression" in refused.text) == (400, True)


def test_the_command_makes_steers_and_explains_schedules(stack: Any) -> None:
    tenant = f"t-{uuid.uuid4().hex[:12]}"
    shell = CommandLine(env={"TASKFLOW_ADDRESS": stack.grpc, "TASKFLOW_TENANT": tenant})

    def run(*words: str) -> str:
        result = shell.invoke(schedule_command, words)
        assert result.exit_code == 0, result.output
        return result.stdout

    times = ("--cron", "0 9 * * mon-fri", "--time-zone", "Europe/Berlin")
    made = json.loads(run("create", "Report", "echo", '{"to": "all"}', *times, "--max-runs", "5", "--json"))
    assert (made["payload"], made["max_runs"], made["schedule_type"]) == ({"to": "all"}, 5, "CRON")
    assert "0 9 * * mon-fri" in run("list")
    assert len(run("preview", *times, "--count", "4", "--json").splitlines()) == 4
    assert "09:00:00" in run("preview", made["id"])
    assert "PAUSED" in run("pause", made["id"], "--note", "holidays")
    assert "FIRED" in run("trigger", made["id"], "--overlap", "allow_all")
    assert "MANUAL" in run("fires", made["id"])
    start = datetime.now(UTC) - timedelta(days=14)
    done = json.loads(
        run("backfill", made["id"], "--from", start.isoformat(), "--to", datetime.now(UTC).isoformat())
    )
    assert done["fired_count"] + done["buffered_count"] == 10
    assert "ACTIVE" in run("resume", made["id"])
    run("delete", made["id"])
    assert "none" in run("list")
    assert shell.invoke(schedule_command, ["create", "Report", "echo"]).exit_code == 2
