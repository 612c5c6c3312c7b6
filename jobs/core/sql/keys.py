"""Primary keys in a text, of a URL, a form or a command line."""

LARGEST = 2**63 - 1  # that a column of 64 bits holds
DIGITS = len(str(LARGEST))


def parse_key(text: str) -> int | None:
    """Return the primary key that a text is; None for any other text, and for a number that no row can have."""
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        return None
    return key if (key := int(text)) <= LARGEST else None
