"""The table of the peers' ledger (ledger.py), for code that creates databases without Django."""

TABLE = """
CREATE TABLE bench_ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, reference text NOT NULL, payload jsonb NOT NULL,
    status text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), started_at timestamptz, ended_at timestamptz)
"""
