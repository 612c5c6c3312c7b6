#!/usr/bin/env python3
"""Writes docs/smtp-answers.md from the table of accounts/mail/smtp_answers.py and the replies of its test.

.venv/bin/python scripts/document_smtp_answers.py > docs/smtp-answers.md
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from accounts.mail.smtp_answers import RULES, Rule, Step, judge  # noqa: E402

HEAD = """# Refusals of mail servers, and what follows

Generated from `accounts/mail/smtp_answers.py` by `scripts/document_smtp_answers.py`: do not edit. \
`tests/data/smtp_replies.tsv` has {count}
replies of real servers with the verdict that an expert would give; a test holds the table to them.

| blamed | class of error | what follows |
|---|---|---|
| `recipient`, `email` | `permanent` (5xx), `temporary` (4xx) | a dead letter; or the next attempt after 2, 4, \
8, 16 s |
| `us` | `configuration` | the breaker opens: the type is suspended until a probe succeeds, which goes as far \
as RCPT of `SUPPORT_EMAIL` and RSET. No attempt is lost. A job that is refused again after a successful probe \
waits alone, from a minute to two hours, and opens no breaker |
| `rate` | `throttled` | waits as long as the server asks, otherwise 15 s; fewer connections; no attempt is \
lost |
| `quota` | `throttled` | the same, but waits from 5 minutes to two hours where the server names no time |
| `server` | `temporary` | the next attempt after 2, 4, 8, 16 s; a dead letter that outlasted them counts as \
`unreachable` and is replayed automatically, once, when the server accepts again; \
in an outage that goes on, it then waits without losing attempts |

Any 2xx is a success. 421, 429 and 432 are always throttling. A refusal that no rule knows is judged by its \
step and first digit. **The same refusal for
three recipients within a minute, without a success in between, is about us** (`us`, in the words of the \
server, without addresses
and numbers); 5.1.x, 5.2.x and texts about a recipient never count. When a probe succeeds, each job that was \
suspended by it, or died of it before, is
tried once more and then judged alone.

## The rules, in their order: the first that matches decides

| # | blamed | what the server says | enhanced code | reply | step | known from | examples |
|---|---|---|---|---|---|---|---|
"""


def examples() -> tuple[int, dict[int, list[str]]]:
    """Return how many replies there are, and those that each rule decides, by its place."""
    by_rule: dict[int, list[str]] = defaultdict(list)
    with (ROOT / "tests/data/smtp_replies.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for row in rows:
        rule = judge(int(row["reply"][:3]), row["reply"][4:], Step(row["step"])).rule
        if rule is not None:
            by_rule[RULES.index(rule)].append(row["reply"])
    return len(rows), by_rule


def cell(text: str) -> str:
    """Return text as it may be in a cell of a table."""
    return "`" + text.replace("|", "\\|").replace("`", "'") + "`" if text else ""


def line(place: int, rule: Rule, replies: list[str]) -> str:
    """Return the row of a rule."""
    shown = "<br>".join(cell(reply[:110]) for reply in replies[:3])
    steps = ", ".join(rule.steps)
    parts = (place, f"`{rule.blame}`", rule.meaning, cell(rule.codes), cell(rule.replies), steps, rule.servers, shown)
    return "| " + " | ".join(map(str, parts)) + " |"


def document() -> str:
    """Return docs/smtp-answers.md."""
    count, by_rule = examples()
    rows = [line(place + 1, rule, by_rule[place]) for place, rule in enumerate(RULES)]
    return HEAD.format(count=count) + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
