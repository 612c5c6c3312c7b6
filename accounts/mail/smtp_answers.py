"""The table of mail servers' refusals: which party each of them blames.

`judge` returns the first rule that a reply matches. Enhanced codes (RFC 3463) that leave no doubt come first, then the
texts of known servers, then the other enhanced codes; a reply that no rule knows is judged by its step and first digit.
docs/smtp-answers.md is generated from RULES, tests/data/smtp_replies.tsv has the verdicts that an expert would give.
"""

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Blame(StrEnum):
    """The party that a refusal blames, and so the class of the job's error."""

    RECIPIENT = "recipient"
    """5xx: `Permanent`; 4xx: `Temporary`."""
    EMAIL = "email"
    """5xx: `Permanent`; 4xx: `Temporary`."""
    US = "us"
    """`Configuration`: our settings, sender, DNS or reputation; every email would meet the refusal."""
    RATE = "rate"
    """`Throttled`: too fast, too many connections, greylisted; seconds or minutes."""
    QUOTA = "quota"
    """`Throttled`: the limit of an hour, a day or a month is used up; minutes to hours."""
    SERVER = "server"
    """`Temporary`, and an outage when it lasts longer than the attempts."""


class Step(StrEnum):
    """The step of the dialogue that the server refused."""

    OPENING = "opening"
    LOGIN = "login"
    SENDER = "sender"
    RECIPIENT = "recipient"
    CONTENT = "content"


@dataclass(frozen=True)
class Rule:
    """One line of the table; a reply matches when everything that is given matches."""

    blame: Blame
    meaning: str
    """What the reply says, for docs/smtp-answers.md."""
    codes: str = ""
    """A regular expression for the whole enhanced code."""
    words: str = ""
    """A regular expression for a part of the text; case does not matter."""
    replies: str = ""
    """A regular expression for the whole reply code."""
    steps: tuple[Step, ...] = ()
    servers: str = ""
    """Where the texts come from."""

    def matches(self, code: int, enhanced: str, text: str, step: Step) -> bool:
        """Whether the rule applies to a reply."""
        return (
            (not self.replies or bool(re.fullmatch(self.replies, str(code))))
            and (not self.codes or bool(re.fullmatch(self.codes, enhanced)))
            and (not self.steps or step in self.steps)
            and (not self.words or bool(re.search(self.words, text, re.IGNORECASE)))
        )


@dataclass(frozen=True)
class Verdict:
    """A judged reply: the party to blame, the rule that says so (None: no rule knows it), the enhanced code or ""."""

    blame: Blame
    rule: Rule | None
    enhanced: str

    @property
    def may_repeat(self) -> bool:
        """Whether the same refusal of several recipients would be about us: never 5.1.x, 5.2.x or a known recipient."""
        of_recipient = self.rule is not None and self.rule.blame is Blame.RECIPIENT
        return self.blame in (Blame.RECIPIENT, Blame.EMAIL) and not (
            of_recipient or self.enhanced.startswith(("5.1.", "5.2."))
        )


ENHANCED = re.compile(r"(?:^|[#\[(])\s*([245]\.\d{1,3}\.\d{1,3})(?![\d.])")

PHRASES = {
    name: "|".join(alternatives)
    for name, alternatives in tomllib.loads(Path(__file__).with_name("smtp_phrases.toml").read_text("utf-8")).items()
}
NAMED = (Step.RECIPIENT, Step.CONTENT)  # the recipient has been named
BEFORE = (Step.OPENING, Step.LOGIN, Step.SENDER)

RULES = (
    # Codes that leave no doubt.
    Rule(
        Blame.QUOTA,
        "closing: the limit of an hour or a day is used up",
        replies="421|429|432",
        words=PHRASES["period"],
    ),
    Rule(Blame.RATE, "too many connections, too fast, closing", replies="421|429|432", servers="all"),
    Rule(
        Blame.QUOTA,
        "the sender's or the recipient's messages of this hour or day are used up",
        codes=r"5\.1\.90|[45]\.2\.12[12]|5\.7\.508|[45]\.4\.5",
        words=r"limit|exceed|quota",
        servers="Office 365, Gmail",
    ),
    Rule(Blame.QUOTA, "the sender's quota is used up", codes=r"[45]\.2\.2", words="submission", servers="Exchange"),
    Rule(Blame.RATE, "unusual rate of mail", codes=r"[45]\.7\.28", servers="Gmail"),
    Rule(
        Blame.RECIPIENT,
        "no such mailbox or domain, moved, accepts no mail",
        codes=r"[45]\.1\.([1-46]|10)|[45]\.2\.2|5\.7\.(2|17|18)",
        steps=NAMED,
        servers="all (RFC 3463, RFC 7505)",
    ),
    Rule(
        Blame.RECIPIENT,
        "the recipient or its group accepts no mail from outside, or its owner blocks us",
        codes=r"5\.7\.(12\d|13[0-8]|504|505|507|513)",
        servers="Exchange, Office 365",
    ),
    Rule(
        Blame.US,
        "login needed or refused, encryption needed",
        codes=r"5\.7\.([34589]|10|11|12|13|14|57|139)",
        words=r"auth|credential|login|password|encrypt|tls|mechanism|log in|account",
        servers="all (RFC 4954)",
    ),
    Rule(
        Blame.US,
        "SPF, DKIM, DMARC or reverse DNS of our domain fails",
        codes=r"5\.7\.(2[0-79]|3[0-2]|509|515|510)|[45]\.7\.25",
        servers="all (RFC 7372), Gmail, Office 365",
    ),
    Rule(
        Blame.US,
        "our address, tenant or sender is blocked or not allowed",
        codes=r"5\.7\.(5[14]|6[04]|50[1236]|511|6\d\d|7\d\d)|5\.2\.252|[45]\.1\.[78]",
        servers="Exchange, Office 365",
    ),
    Rule(Blame.US, "login needed or refused", replies="525|530|534|535|538", servers="all"),
    Rule(
        Blame.EMAIL, "too big, or of a form that the server does not take", codes=r"[45]\.(3\.4|2\.3|6\.\d+)|5\.7\.512"
    ),
    # Texts.
    Rule(
        Blame.RECIPIENT, "the recipient blocks us or its group is closed", words=PHRASES["recipients_list"], steps=NAMED
    ),
    Rule(
        Blame.RECIPIENT,
        "mailbox full",
        codes=r"(?:[45]\.[27]\.\d+)?",
        replies="422|452|552",
        words=r"^(?!.*(system|message size|sending|insufficient)).*(quota|full|storage|space)",
        steps=NAMED,
    ),
    Rule(
        Blame.EMAIL,
        "too big",
        words=r"message[ -]size|size[ -]limit|(message|mail) (is )?too (large|big|long)|header size",
    ),
    Rule(
        Blame.QUOTA,
        "the messages of this hour, day or month are used up",
        words=rf"^(?!.*({PHRASES['own_quota']})).*({PHRASES['period']})",
        servers="Gmail, SES, SendGrid, Exim (cPanel)",
    ),
    Rule(Blame.RATE, "too many connections, rate exceeded", words=PHRASES["connections"], servers="all"),
    Rule(
        Blame.QUOTA,
        "a limit of the sender is used up",
        words=rf"^(?!.*({PHRASES['own_quota']})).*({PHRASES['long_limit']})",
        servers="Office 365, Mailgun, policyd",
    ),
    Rule(Blame.RATE, "too fast, too many connections, greylisted", words=PHRASES["too_fast"], servers="all"),
    Rule(
        Blame.SERVER,
        "the server is in trouble: disk, queue, lookup",
        codes=r"[45]\.3\.[0-25]",
        words=r"^(?!.*\bloops?\b)",
        replies=r"4\d\d|5\d\d(?<!553)",
    ),
    Rule(
        Blame.EMAIL,
        "content refused: a link on a list",
        words=r"uribl|surbl|\burl\b|black-?listed (url|link|domain in)",
    ),
    Rule(
        Blame.US,
        "SPF, DKIM, DMARC or reverse DNS of our domain fails",
        words=PHRASES["authenticated_domain"],
        servers="Gmail, Yahoo, Yandex, GoDaddy, Mimecast",
    ),
    Rule(
        Blame.US,
        "our server's address is on a blocklist",
        words=PHRASES["blocklist"],
        servers="all; Office 365 (S3150), Yahoo",
    ),
    Rule(
        Blame.US, "relaying denied", words=PHRASES["relay"], servers="Postfix, Exim, Sendmail, Exchange, qmail, Mailgun"
    ),
    Rule(
        Blame.US,
        "login or encryption needed, account not active",
        words=PHRASES["login"],
        servers="Exim, Brevo, SES, SendGrid",
    ),
    Rule(
        Blame.US, "our HELO name is refused (EMAIL_EHLO_NAME)", words=PHRASES["hello"], servers="Postfix, Exim, Gmail"
    ),
    Rule(
        Blame.US,
        "our sender is refused",
        words=PHRASES["sender"],
        servers="Postfix, Exim, Yandex, Mail.ru, SES, SendGrid, Postmark",
    ),
    Rule(
        Blame.EMAIL,
        "content refused",
        words=PHRASES["content"],
        steps=(Step.CONTENT,),
        servers="Yandex, Mail.ru, Gmail",
    ),
    Rule(Blame.RECIPIENT, "no such mailbox, full, closed", words=PHRASES["mailbox"], steps=NAMED, servers="all"),
    Rule(Blame.EMAIL, "content refused", words=PHRASES["content"], steps=NAMED, servers="all"),
    # What the enhanced code alone says.
    Rule(Blame.RATE, "policy, for now", codes=r"4\.7\.\d+|4\.5\.3|4\.1\.0", replies=r"4\d\d(?<!454)"),
    Rule(Blame.RECIPIENT, "a fault of the address or its domain", codes=r"[45]\.[12]\.\d+|5\.4\.\d+", steps=NAMED),
    Rule(Blame.US, "the server does not understand our client", codes=r"5\.5\.[124]|5\.3\.3", steps=NAMED),
    # What the reply code alone says.
    Rule(Blame.RECIPIENT, "mailbox busy", replies="450", steps=NAMED),
    Rule(Blame.SERVER, "the server cannot do it now", replies=r"4\d\d"),
    Rule(Blame.EMAIL, "too big", replies="552", steps=BEFORE),
    Rule(Blame.US, "refused before a recipient was named: it would meet every email", steps=BEFORE),
)


def judge(code: int, text: str, step: Step) -> Verdict:
    """Return the party that a refusal blames. text: the reply without its code, on one line."""
    found = ENHANCED.search(text)
    enhanced = found[1] if found else ""
    words = " ".join(word for word in text.split() if word != enhanced)
    for rule in RULES:
        if rule.matches(code, enhanced, words, step):
            return Verdict(rule.blame, rule, enhanced)
    return Verdict(Blame.EMAIL if step is Step.CONTENT else Blame.RECIPIENT, None, enhanced)
