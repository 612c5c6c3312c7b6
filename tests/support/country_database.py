"""A country database in MaxMind's format (https://maxmind.github.io/MaxMind-DB/), with 24-bit records, for IPv4."""

import ipaddress
from pathlib import Path
from typing import Any

MARKER = b"\xab\xcd\xefMaxMind.com"
Node = list[Any]


class UInt32(int):
    """An integer that the format wants in four bytes; a plain one has two."""


class UInt64(int):
    """The same in eight."""


def write(path: Path, countries: dict[str, dict[str, Any]]) -> Path:
    """Writes a database of {"203.0.113.0/24": {"iso_code": "MN", "names": {"en": "Mongolia"}}}."""
    root: Node = [None, None]
    nodes: list[Node] = [root]
    data, offsets = b"", []
    for index, (network, country) in enumerate(countries.items()):
        _insert(nodes, ipaddress.IPv4Network(network), index)
        offsets.append(len(data))
        data += _encode({"country": country})
    tree = b"".join(_record(side, len(nodes), offsets) for node in nodes for side in node)
    about = {
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": UInt64(1),
        "database_type": "Test-Country",
        "description": {"en": "a test"},
        "ip_version": 4,
        "languages": ["en"],
        "node_count": UInt32(len(nodes)),
        "record_size": 24,
    }
    path.write_bytes(tree + bytes(16) + data + MARKER + _encode(about))
    return path


def _insert(nodes: list[Node], network: ipaddress.IPv4Network, country: int) -> None:
    bits = format(int(network.network_address), "032b")[: network.prefixlen]
    at = 0
    for bit in map(int, bits[:-1]):
        if nodes[at][bit] is None:
            nodes.append([None, None])
            nodes[at][bit] = ("node", len(nodes) - 1)
        at = nodes[at][bit][1]
    nodes[at][int(bits[-1])] = ("data", country)


def _record(side: tuple[str, int] | None, nodes: int, offsets: list[int]) -> bytes:
    kind, index = side or ("nothing", 0)
    value = {"nothing": nodes, "node": index, "data": nodes + 16 + offsets[index % len(offsets)]}[kind]
    return value.to_bytes(3, "big")


def _encode(value: Any) -> bytes:
    match value:
        case dict():
            return bytes([7 << 5 | len(value)]) + b"".join(_encode(k) + _encode(v) for k, v in value.items())
        case list():
            return bytes([len(value), 11 - 7]) + b"".join(map(_encode, value))
        case UInt64():
            return bytes([8, 9 - 7]) + value.to_bytes(8, "big")
        case UInt32():
            return bytes([6 << 5 | 4]) + value.to_bytes(4, "big")
        case int():
            return bytes([5 << 5 | 2]) + value.to_bytes(2, "big")
    text = str(value).encode()
    return (bytes([2 << 5 | len(text)]) if len(text) < 29 else bytes([2 << 5 | 29, len(text) - 29])) + text
