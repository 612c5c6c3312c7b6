"""Browser and system families from a user agent: never a version, which would only confuse the user."""

from functools import lru_cache

from ua_parser import parse

MAX_USER_AGENT = 1_000  # characters that are parsed: attackers send 100 KB
UNKNOWN = "Other"


@lru_cache(maxsize=4096)
def _families(user_agent: str) -> tuple[str, str]:
    found = parse(user_agent)
    browser = found.user_agent.family if found.user_agent else ""
    system = found.os.family if found.os else ""
    return ("" if browser == UNKNOWN else browser)[:64], ("" if system == UNKNOWN else system)[:64]


def parse_families(user_agent: str) -> tuple[str, str]:
    """Return the families of browser and system, ("Chrome", "Windows"); "" for an unknown one."""
    return _families(user_agent[:MAX_USER_AGENT])


def device_name(browser: str, system: str) -> str:
    """Return `Chrome, Windows`; one of them when the other is unknown, "" when both are."""
    return ", ".join(filter(None, (browser, system)))
