"""Personal data and secrets in log lines, replaced wherever they turn up: in a field, a sentence, a traceback.

Addresses, IPs, tokens and what a database tells of a row have shapes. A name has none, so names are never logged: a
field that is called like one is emptied, and Cyrillic, which none of our own lines holds, is somebody's text.
"""

import re
from functools import lru_cache
from typing import Any

ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)*")
IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
IPV6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
CLOCK = re.compile(r"\d{1,2}:\d{2}:\d{2}")
TOKEN = re.compile(
    r"nk_[0-9a-f]{12}_[\w-]+"  # an API key
    r"|[\w-]{1,200}:\w{5,7}:[\w-]{27,}"  # what Django signs: a dispute's link, a confirmation's
    r"|\b[0-9a-z]{1,13}-[0-9a-z]{5,8}-[0-9a-f]{32}\b"  # a link of a password reset
    r"|\b(?=\w*\d)\w{32,}\b"  # sessions, CSRF, digests
)
BEARER = re.compile(r"\b(bearer|basic) +\S+", re.IGNORECASE)
ROW = re.compile(r"(\)=\().*?(?=\)(?:\s|$))|(Failing row contains \().*", re.MULTILINE)  # what PostgreSQL tells
LINK = re.compile(r"(https?://[^\s/?#'\"]+)[/?#][^\s'\"]*")
LETTERS = re.compile(r"[\u0400-\u04FF][\u0400-\u04FF\s.-]*")
PRIVATE = re.compile(
    r"^(e?mail|(user|first|last|full)_?name|name|who|ip|ip_?address|address|user_?agent|token|secret|password|"
    r"cookies?|authorization|api_?key|session(_key)?|payload|query|path)$",
    re.IGNORECASE,
)
WORDS = re.compile(r"[A-Za-z][A-Za-z -]{0,38}")  # too short for a token without digits, and nothing else below is so
IDS = {"job_id", "request_id", "sign_in", "batch", "cluster", "worker", "logger", "level", "timestamp"}


def mask(text: str) -> str:
    """`text` without addresses, IPs, tokens, rows, links and Cyrillic; loopback stays, it names nobody."""
    if WORDS.fullmatch(text) and not BEARER.search(text):  # most fields of most lines: half of a line's cost
        return text
    text = ROW.sub(lambda m: f"{m[1] or m[2]}<row>", text)
    text = BEARER.sub(r"\1 <token>", text)
    text = LINK.sub(r"\1/<path>", text)
    text = ADDRESS.sub("<address>", text)
    text = TOKEN.sub("<token>", text)
    text = IPV4.sub(lambda m: m[0] if m[0] in ("127.0.0.1", "0.0.0.0") else "<ip>", text)  # noqa: S104
    text = IPV6.sub(lambda m: m[0] if m[0] in ("::1", "::") or CLOCK.fullmatch(m[0]) else "<ip>", text)
    return LETTERS.sub("<text>", text)


@lru_cache(maxsize=1024)
def is_private(key: str) -> bool:
    """Whether a field of that name is emptied."""
    return bool(PRIVATE.match(key))


def value(given: Any) -> Any:
    """`mask` over every text in a value, all the way down; what is no plain data becomes its masked text."""
    match given:
        case None | bool() | int() | float():
            return given
        case dict():
            return {mask(str(key)): field(str(key), inner) for key, inner in given.items()}
        case list() | tuple() | set():
            return [value(inner) for inner in given]
    return mask(str(given))


def field(key: str, given: Any) -> Any:
    """A field of a line: emptied when its name says that it is private; ids of ours stay, they name nobody."""
    if is_private(key):
        return "<hidden>"
    if key in IDS and isinstance(given, str):
        return ADDRESS.sub("<address>", given) if "@" in given else given
    return value(given)
