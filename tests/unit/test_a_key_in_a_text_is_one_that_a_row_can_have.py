"""Primary keys in URLs, forms and command lines are read by one function."""

import pytest

from jobs.core.sql.keys import LARGEST, parse_key


@pytest.mark.parametrize(
    ("text", "key"),
    [("0", 0), ("7", 7), ("007", 7), (str(LARGEST), LARGEST)]
    + [(text, None) for text in ("", " 7", "-7", "7.0", "x", "٧", "²", str(LARGEST + 1), "0" * 20, "9" * 5000)],
)
def test_a_key_is_a_number_that_a_row_can_have(text, key):
    assert parse_key(text) == key
