"""Tasks on a real qcluster: retried, buried and replayed, killed, out of time, and poison."""

import json

import pytest

from tests.support.machine import eventually
from tests.support.queues import clusters_of
from tests.support.site import Site

SAMPLES = "tests.support.sample_tasks"


@pytest.fixture(scope="module")
def cluster():
    settings = {"JOB_LEASE_SECONDS": "6", "JOB_BACKOFF_SECONDS": "0.2", "JOB_MAX_ATTEMPTS": "3"}
    with Site(**settings) as site, clusters_of(site) as start:
        start("--workers", "1", ready=False).ready(1)
        yield site


def enqueue(site, *calls):
    """Enqueue tasks in a process of its own, each as the Python of its call; their ids."""
    each = "; ".join(f"print('id', s.{call}.id)" for call in calls)
    shown = site.manage("shell", "-c", f"import {SAMPLES} as s; {each}")
    return [line.removeprefix("id ") for line in shown.splitlines() if line.startswith("id ")]


def result(site, job_id):
    read = f"default_task_backend.get_result('{job_id}')"
    fields = "[r.status, r._return_value, r.attempts, [e.exception_class_path for e in r.errors]]"
    code = f"from jobs.tasks.compat import *; import json; r = {read}; print('read', json.dumps({fields}))"
    [line] = [line for line in site.manage("shell", "-c", code).splitlines() if line.startswith("read ")]
    return json.loads(line.removeprefix("read "))


def status(site, job_id):
    [row] = site.sql("SELECT status, dlq_reason FROM job_logs WHERE job_id = %s", job_id)
    return row


def ended(site, *ids):
    return all(status(site, job_id)[0] in ("completed", "dlq") for job_id in ids)


def test_sync_and_async_tasks_run_in_the_worker(cluster):
    ids = enqueue(cluster, "add.enqueue(1, 2)", "add_async.enqueue(3, 4)", "count_users.enqueue()")
    eventually(lambda: ended(cluster, *ids), seconds=60)
    assert [result(cluster, job_id)[:3] for job_id in ids] == [["SUCCESSFUL", value, 1] for value in (3, 7, 0)]


def test_a_task_is_retried_with_its_attempt_in_the_context(cluster):
    [job_id] = enqueue(cluster, "attempt_of.enqueue()")
    eventually(lambda: ended(cluster, job_id), seconds=60)
    assert result(cluster, job_id) == ["SUCCESSFUL", 3, 3, ["builtins.ValueError"] * 2]


def test_a_dead_letter_is_replayed_once_its_cause_is_repaired(cluster):
    [job_id] = enqueue(cluster, "fail_until.enqueue('repaired')")
    eventually(lambda: status(cluster, job_id) == ("dlq", "exhausted"), seconds=60)
    assert result(cluster, job_id)[0] == "FAILED"
    enqueue(cluster, "mark.enqueue('repaired')")
    cluster.manage("jobs", "replay", job_id)
    eventually(lambda: status(cluster, job_id)[0] in ("completed", "dlq"), seconds=60)
    assert result(cluster, job_id)[:3] == ["SUCCESSFUL", "repaired", 4]


def test_a_task_that_ends_the_process_fails_and_the_worker_survives(cluster):
    calls = [f"end.enqueue('{how}')" for how in ("exit", "interrupt")]
    first, second, after = enqueue(cluster, *calls, "add.enqueue(1, 2)")
    eventually(lambda: ended(cluster, first, second, after), seconds=60)
    errors = [result(cluster, job_id)[3] for job_id in (first, second, after)]
    assert errors == [["builtins.SystemExit"], ["builtins.KeyboardInterrupt"], []]
    workers = cluster.sql("SELECT DISTINCT worker FROM job_logs WHERE job_id IN (%s, %s, %s)", first, second, after)
    assert len(workers) == 1


@pytest.mark.parametrize("call", ["sleep.enqueue(600)", "block.enqueue(600)"])
def test_a_task_that_takes_too_long_fails_and_its_worker_is_replaced(cluster, call):
    [job_id] = enqueue(cluster, call)
    eventually(lambda: ended(cluster, job_id), seconds=60)
    assert result(cluster, job_id) == ["FAILED", None, 1, ["builtins.TimeoutError"]]
    [after] = enqueue(cluster, "add.enqueue(1, 2)")
    eventually(lambda: ended(cluster, after), seconds=60)
    assert result(cluster, after)[0] == "SUCCESSFUL"


def test_a_transaction_left_open_does_not_reach_the_next_job(cluster):
    first, after = enqueue(cluster, "leave_begin.enqueue()", "mark.enqueue('after BEGIN')")
    eventually(lambda: ended(cluster, first, after), seconds=60)
    assert status(cluster, first) == ("dlq", "permanent")
    marks = cluster.sql("SELECT target FROM jobs_auditentry WHERE target IN ('left in BEGIN', 'after BEGIN')")
    assert marks == [("after BEGIN",)]


def test_a_task_whose_worker_is_killed_runs_again(cluster):
    [job_id] = enqueue(cluster, "kill_worker_once.enqueue('killed')")
    eventually(lambda: ended(cluster, job_id), seconds=60)
    assert result(cluster, job_id) == ["SUCCESSFUL", "killed", 2, ["jobs.tasks.results.WorkerLost"]]


def test_a_task_that_kills_every_worker_is_poison_and_takes_no_other_with_it(cluster):
    poison, *others = enqueue(cluster, "kill_worker.enqueue()", *[f"add.enqueue({n}, 1)" for n in range(5)])
    eventually(lambda: status(cluster, poison)[0] == "dlq", seconds=110, pause=1)
    assert status(cluster, poison) == ("dlq", "poison")
    eventually(lambda: ended(cluster, *others), seconds=60)
    assert {result(cluster, job_id)[2] for job_id in others[:2]} == {1}


def test_a_quick_task_that_kills_its_worker_only_delays_those_that_were_claimed_with_it(cluster):
    ids = enqueue(cluster, *[f"kill_worker_at.enqueue({n}, 30)" for n in range(60)])
    eventually(lambda: ended(cluster, *ids), seconds=90)
    results = [result(cluster, job_id) for job_id in ids]
    assert {found[0] for found in results} == {"SUCCESSFUL"}
    assert results[30][2:] == [2, ["jobs.tasks.results.WorkerLost"]]
    assert {error for found in results for error in found[3]} == {"jobs.tasks.results.WorkerLost"}
    assert max(found[2] for found in results) == 2
    left = cluster.sql("SELECT DISTINCT max_attempts - attempt_count FROM job_logs WHERE job_id = ANY(%s)", ids)
    [attempts] = cluster.sql("SELECT max(max_attempts) FROM job_logs WHERE attempt_count = 1")
    assert left == [(attempts[0] - 1,)], "none has lost an attempt"
