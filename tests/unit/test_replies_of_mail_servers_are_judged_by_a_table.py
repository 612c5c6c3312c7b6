"""accounts/mail/smtp_answers.py against replies of real servers, each with the verdict that an expert would give."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from accounts.mail.smtp_answers import RULES, Blame, Step, judge
from tests.support.site import ROOT

with Path(ROOT, "tests/data/smtp_replies.tsv").open(encoding="utf-8") as file:
    REPLIES = [tuple(row.values()) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


@pytest.mark.parametrize(("step", "blame", "server", "reply"), REPLIES, ids=[row[3][:60] for row in REPLIES])
def test_a_reply_blames_the_party_that_an_expert_would(step, blame, server, reply):
    assert judge(int(reply[:3]), reply[4:], Step(step)).blame == blame


def test_there_are_120_replies_of_every_known_server():
    assert len(REPLIES) >= 120
    servers = {word for row in REPLIES for word in row[2].replace(",", "").split()}
    assert servers >= {"Postfix", "Exim", "Sendmail", "Exchange", "Office", "Gmail", "Yahoo", "SES", "SendGrid"}
    assert servers >= {"Mailgun", "Postmark", "Brevo", "Yandex", "Mail.ru"}


def test_every_blame_and_every_rule_has_a_reply():
    used = {judge(int(reply[:3]), reply[4:], Step(step)).rule for step, _, _, reply in REPLIES}
    assert {rule.meaning for rule in RULES if rule not in used} == set()
    assert {row[1] for row in REPLIES} == set(Blame)


@pytest.mark.parametrize(
    ("text", "enhanced"),
    [
        ("5.7.1 no", "5.7.1"),
        ("no (#5.7.1)", "5.7.1"),
        ("no [4.7.0]", "4.7.0"),
        ("5.1.2.3 is an address", ""),
        ("client 5.7.1 is in the text", ""),
        ("", ""),
    ],
)
def test_the_enhanced_code_is_read_where_servers_put_it(text, enhanced):
    assert judge(550, text, Step.RECIPIENT).enhanced == enhanced


def test_a_reply_of_several_lines_reads_as_one_text():
    said = "5.7.1 relaying\n5.7.1 denied"
    assert judge(550, " ".join(said.split()), Step.RECIPIENT).blame is Blame.US


@pytest.mark.parametrize(
    ("reply", "repeats"),
    [
        ("550 5.7.1 go away", True),
        ("554 Transaction failed", True),
        ("554 5.7.1 Message rejected under suspicion of SPAM", True),
        ("550 5.1.1 go away", False),
        ("550 5.2.0 go away", False),
        ("550 No such user", False),
        ("550 mailbox unavailable", False),
        ("554 5.7.1 Relay access denied", False),
    ],
)
def test_only_a_refusal_that_names_no_recipient_may_be_about_us_by_repetition(reply, repeats):
    assert judge(int(reply[:3]), reply[4:], Step.CONTENT).may_repeat is repeats


def test_the_document_is_the_table():
    made = subprocess.run(
        [sys.executable, "scripts/document_smtp_answers.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert made.stdout == Path(ROOT, "docs/smtp-answers.md").read_text(encoding="utf-8"), (
        "run: .venv/bin/python scripts/document_smtp_answers.py > docs/smtp-answers.md"
    )
