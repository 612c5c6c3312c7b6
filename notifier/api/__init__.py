"""The HTTP API (docs/api.md). Each call is a few lines; the work is done in jobs/ and accounts/."""
