"""The pages that a user reads: home, help, security and the list of emails."""
