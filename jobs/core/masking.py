"""Personal data and secrets in texts: hidden in log lines, abbreviated on the operators' pages.

Addresses, IPs, tokens and the rows in PostgreSQL's messages have shapes. A name has none, so names are never logged: a
field that is called like one is emptied, and Cyrillic, which none of our own lines holds, is a user's text.
Abbreviated data keeps its shape (an address is still an address), so that an email can be rendered from it.
"""

import ipaddress
import re
import unicodedata
from functools import lru_cache
from typing import Any

ADDRESS = re.compile(r"([\w.!#$%&'*+/=?^`{|}~-]{1,254})@([\w-]+(?:\.[\w-]+)*)")
IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
IPV6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
CLOCK_TIME = re.compile(r"\d{1,2}:\d{2}:\d{2}")
TOKEN = re.compile(
    r"nk_[0-9a-f]{12}_[\w-]+"  # an API key
    r"|[\w-]{1,200}:\w{5,7}:[\w-]{27,}"  # signed by Django: a dispute's link, a confirmation's
    r"|\b[0-9a-z]{1,13}-[0-9a-z]{5,8}-[0-9a-f]{32}\b"  # a link of a password reset
    r"|\b(?=\w*\d)\w{32,}\b"  # sessions, CSRF, digests
)
BEARER = re.compile(r"\b(bearer|basic) +\S+", re.IGNORECASE)
ROW = re.compile(r"(\)=\().*?(?=\)(?:\s|$))|(Failing row contains \().*", re.MULTILINE)  # in PostgreSQL's messages
LINK = re.compile(r"(https?://[^\s/?#'\"]+)[/?#][^\s'\"]*")
CYRILLIC = re.compile(r"[\u0400-\u04FF][\u0400-\u04FF\s.-]*")
PRIVATE = re.compile(
    r"^(e?mail|(user|first|last|full)_?name|name|who|ip|ip_?address|address|user_?agent|token|secret|password|"
    r"cookies?|authorization|api_?key|session(_key)?|payload|query|path)$",
    re.IGNORECASE,
)
SECRET = re.compile(r"token|secret|password|cookie|authorization|api_?key", re.IGNORECASE)
WORDS = re.compile(r"[A-Za-z][A-Za-z -]{0,38}")  # too short for a token without digits; no other pattern matches it
OUR_IDS = {"job_id", "request_id", "sign_in", "batch", "cluster", "worker", "logger", "level", "timestamp", "route"}
LONGEST_VALUE = 2_000  # characters shown of one text of a payload
LONGEST_TEXT = 20_000  # characters shown of an error, a trace, a whole payload
LONGEST_LIST = 100  # items shown of one list of a payload


def hide(text: str) -> str:
    """Return a log text without addresses, IPs, tokens, rows, links and Cyrillic; loopback addresses stay."""
    if WORDS.fullmatch(text) and not BEARER.search(text):  # most fields of most lines: half of a line's cost
        return text
    text = ROW.sub(lambda m: f"{m[1] or m[2]}<row>", text)
    text = BEARER.sub(r"\1 <token>", text)
    text = LINK.sub(r"\1/<path>", text)
    text = ADDRESS.sub("<address>", text)
    text = TOKEN.sub("<token>", text)
    text = IPV4.sub(lambda m: m[0] if m[0] in ("127.0.0.1", "0.0.0.0") else "<ip>", text)  # noqa: S104
    text = IPV6.sub(lambda m: m[0] if m[0] in ("::1", "::") or CLOCK_TIME.fullmatch(m[0]) else "<ip>", text)
    return CYRILLIC.sub("<text>", text)


@lru_cache(maxsize=1024)
def is_private(key: str) -> bool:
    """Return whether a log field of that name is emptied."""
    return bool(PRIVATE.match(key))


def hide_value(value: Any) -> Any:
    """Apply `hide` to every text in a value; other objects become masked text."""
    match value:
        case None | bool() | int() | float():
            return value
        case dict():
            return {hide(str(key)): hide_field(str(key), inner) for key, inner in value.items()}
        case list() | tuple() | set():
            return [hide_value(inner) for inner in value]
    return hide(str(value))


def hide_field(key: str, value: Any) -> Any:
    """Mask a field of a log line.

    A private one is emptied; our own ids stay, they identify no user.
    """
    if is_private(key):
        return "<hidden>"
    if key in OUR_IDS and isinstance(value, str):
        return ADDRESS.sub("<address>", value) if "@" in value else value
    return hide_value(value)


def abbreviate(text: str, longest: int = LONGEST_TEXT) -> str:
    """Cut a text and shorten the email and IP addresses in it: b***@example.mn, 203.0.0.0."""
    text = ADDRESS.sub(_short_address, cut(text, longest))
    text = IPV4.sub(lambda found: ".".join(found[0].split(".")[:2]) + ".0.0", text)
    return IPV6.sub(_network, text)


def abbreviate_payload(value: Any, names: frozenset[str] = frozenset()) -> Any:
    """Abbreviate a job's payload at every level.

    names: the keys whose value is a user's name.
    """
    if isinstance(value, dict):
        return {str(key): _abbreviate_field(str(key), inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [abbreviate_payload(inner, names) for inner in value[:LONGEST_LIST]]
    return abbreviate(value, LONGEST_VALUE) if isinstance(value, str) else value


def cut(text: str, longest: int) -> str:
    """Cut the middle out of a text that is too long, and say how much."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} ...]\n{text[-half:]}"


def escape_controls(text: str) -> str:
    r"""Escape control, bidirectional and invisible characters as \uXXXX, except the line feed.

    A terminal obeys them, so that a server's reply could move the cursor or reverse the text.
    """
    return "".join(_escaped(char) if char != "\n" and _is_control(char) else char for char in text)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _short_address(found: re.Match[str]) -> str:
    """Return the address with the first letter of its name only; quotes before it stay."""
    first = next((at for at, char in enumerate(found[1]) if char.isalnum()), 0)
    return f"{found[1][: first + 1]}***@{found[2]}"


def _network(found: re.Match[str]) -> str:
    try:
        return str(ipaddress.ip_network(f"{found[0]}/48", strict=False).network_address)
    except ValueError:  # a clock time, or C++ in a trace
        return found[0]


def _abbreviate_field(key: str, value: Any, names: frozenset[str]) -> Any:
    if SECRET.search(key) and value:
        return "***"
    if key in names and isinstance(value, str) and value:
        return f"{value[0]}***"
    return abbreviate_payload(value, names)
