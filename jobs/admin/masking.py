"""Personal data in what operators see: masked, unless they may and want to see it (that is written down).

Shapes stay valid (an address is still an address), so that a mail can be rendered from masked data.
"""

import ipaddress
import re
from typing import Any

LONGEST_VALUE = 2_000  # characters shown of one text of a payload
LONGEST_TEXT = 20_000  # characters shown of an error, a trace, a whole payload
SECRET = re.compile(r"token|secret|password|cookie|authorization|api_?key", re.IGNORECASE)
ADDRESS = re.compile(
    r"([A-Za-z0-9])[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{0,63}@([A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8})"
)
IPV4 = re.compile(r"(?<![\d.])(\d{1,3}\.\d{1,3})\.\d{1,3}\.\d{1,3}(?![\d.])")
IPV6 = re.compile(r"(?<![\w:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])")


def text(value: str) -> str:
    """`value` with the mail and IP addresses in it shortened: b***@example.mn, 203.0.0.0."""
    value = ADDRESS.sub(r"\1***@\2", value)
    value = IPV4.sub(r"\1.0.0", value)
    return IPV6.sub(_network, value)


def _network(found: re.Match[str]) -> str:
    try:
        return str(ipaddress.ip_network(f"{found[0]}/48", strict=False).network_address)
    except ValueError:  # a clock time, or C++ in a trace
        return found[0]


def payload(value: Any, names: frozenset[str] = frozenset()) -> Any:
    """A job's payload, masked all the way down. names: keys whose whole value is a person's name."""
    if isinstance(value, dict):
        return {str(key): _field(str(key), inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [payload(inner, names) for inner in value[:100]]
    return text(cut(value, LONGEST_VALUE)) if isinstance(value, str) else value


def _field(key: str, value: Any, names: frozenset[str]) -> Any:
    if SECRET.search(key) and value:
        return "***"
    if key in names and isinstance(value, str) and value:
        return f"{value[0]}***"
    return payload(value, names)


def cut(value: str, longest: int = LONGEST_TEXT) -> str:
    """The beginning and the end of a text that is too long to show, and how much is between them."""
    if len(value) <= longest:
        return value
    half = longest // 2
    return f"{value[:half]}\n[... {len(value) - 2 * half:,} ...]\n{value[-half:]}"
