"""The comparison of `make upgrade-test`: a table, a row or a value that the migrations lose is named."""

from tests.upgrade.compare import what_is_lost

BEFORE = {
    "job_logs": [{"id": "1", "status": "failed"}, {"id": "2", "status": "dlq"}],
    "django_migrations": [{"id": "1", "name": "0001_initial"}],
    "empty": [],
}


def test_a_column_that_held_nothing_may_be_removed():
    before = {"accounts_signin": [{"id": "1", "voided_at": "None"}, {"id": "2", "voided_at": "2026-03-01"}]}
    assert what_is_lost(before, {"accounts_signin": [{"id": "1"}, {"id": "2"}]}) == [
        "accounts_signin 2: voided_at was '2026-03-01', is None"
    ]


def test_new_columns_rows_and_tables_are_no_loss():
    after = {
        "job_logs": [
            {"id": str(key), "status": status, "lane": ""} for key, status in enumerate(("new", "failed", "dlq"))
        ]
    }
    assert what_is_lost(BEFORE, after | {"accounts_site": [{"id": "1"}]}) == []


def test_a_lost_table_row_column_or_value_is_named():
    assert what_is_lost(BEFORE, {}) == ["the table job_logs with 2 rows"]
    assert what_is_lost(BEFORE, {"job_logs": [{"id": "1", "status": "failed"}]}) == ["job_logs: the row 2"]
    changed = {"job_logs": [{"id": "1", "status": "completed"}, {"id": "2"}]}
    assert what_is_lost(BEFORE, changed) == [
        "job_logs 1: status was 'failed', is 'completed'",
        "job_logs 2: status was 'dlq', is None",
    ]
