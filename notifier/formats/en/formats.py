"""English dates without American order and "p.m.", the same on the pages as in the mail."""

DATETIME_FORMAT = "j F Y, H:i"
DATE_FORMAT = "j F Y"
SHORT_DATETIME_FORMAT = "Y-m-d H:i"
SHORT_DATE_FORMAT = "Y-m-d"
TIME_FORMAT = "H:i"
FIRST_DAY_OF_WEEK = 1
