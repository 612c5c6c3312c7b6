"""Whether the migrations kept every row and value."""

Rows = dict[str, list[dict[str, str]]]

PASSING = {"cache_entries", "django_migrations", "sqlite_sequence", "auth_permission", "django_content_type"}
"""Tables that hold nothing of a user's or an operator's."""


EMPTY = "None"
"""What a column held that may be removed."""


def what_is_lost(before: Rows, after: Rows) -> list[str]:
    """Return a line for each table, row or value that the new tables do not have."""
    lost = []
    for table, rows in sorted(before.items()):
        if table in PASSING or not rows:
            continue
        if table not in after:
            lost.append(f"the table {table} with {len(rows)} rows")
            continue
        lost += _compare(table, rows, after[table])
    return lost


def _compare(table: str, before: list[dict[str, str]], after: list[dict[str, str]]) -> list[str]:
    key = next(iter(before[0]))
    found = {row[key]: row for row in after}
    lost = [f"{table}: the row {row[key]}" for row in before if row[key] not in found]
    for row in before:
        now = found.get(row[key], row)
        changed = {name for name, value in row.items() if now.get(name, EMPTY) != value}
        lost += [f"{table} {row[key]}: {name} was {row[name]!r}, is {now.get(name)!r}" for name in sorted(changed)]
    return lost
