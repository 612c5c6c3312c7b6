"""Mongolian dates as Mongolians write them; Django's own are wrong."""

DATETIME_FORMAT = r"Y оны n сарын j, H:i"
DATE_FORMAT = r"Y оны n сарын j"
SHORT_DATETIME_FORMAT = "Y.m.d H:i"
SHORT_DATE_FORMAT = "Y.m.d"
TIME_FORMAT = "H:i"
FIRST_DAY_OF_WEEK = 1
