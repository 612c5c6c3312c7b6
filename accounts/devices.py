"""What a user agent says about a device: families only, never a version (EMAIL.md)."""

from functools import lru_cache

from ua_parser import parse

LONGEST = 1_000  # characters read of a user agent: attackers send 100 KB
UNKNOWN = "Other"


@lru_cache(maxsize=4096)
def _families(user_agent: str) -> tuple[str, str]:
    found = parse(user_agent)
    browser = found.user_agent.family if found.user_agent else ""
    system = found.os.family if found.os else ""
    return ("" if browser == UNKNOWN else browser)[:64], ("" if system == UNKNOWN else system)[:64]


def families(user_agent: str) -> tuple[str, str]:
    """The families of browser and system, ("Chrome", "Windows"); empty where they are not known."""
    return _families(user_agent[:LONGEST])


def in_words(browser: str, system: str) -> str:
    """`Chrome, Windows`; one of them, or nothing, where the other is not known."""
    return ", ".join(filter(None, (browser, system)))
