"""IP addresses in one spelling, and the networks that a user has signed in from, as hashes."""

import ipaddress
from functools import lru_cache

from accounts.secrecy.hashes import keyed_hashes

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

SALT = "accounts.sign_in.networks"
PREFIXES = {4: 24, 6: 48}  # what one household, office or mobile network keeps for days
HASH_LENGTH = 32  # hexadecimal digits


@lru_cache(maxsize=1024)
def parse_address(text: str) -> Address | None:
    """Return an IP address without an IPv6 zone, and the IPv4 address of ::ffff:1.2.3.4; None for anything else."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def network_of(address: str, prefixes: dict[int, int] = PREFIXES) -> str:
    """Return the network of an address, "203.0.113.0/24" or "2001:db8:1::/48"; "" for no address."""
    found = parse_address(address)
    return str(ipaddress.ip_network((found, prefixes[found.version]), strict=False)) if found else ""


def hash_network(owner: str, address: str) -> list[str]:
    """Return the hashes of the network of an address: with SECRET_KEY first, then with each of its fallbacks.

    owner: whose network it is; the same network has another hash for another owner. [""] for no address.
    """
    network = network_of(address)
    if not network:
        return [""]
    return [digest.hex()[:HASH_LENGTH] for digest in keyed_hashes(SALT, f"{owner}\0{network}")]
