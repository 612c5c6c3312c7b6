"""The HTTP API (DESIGN.md section 5). Each call is a few lines; the work is done in jobs/ and accounts/."""
