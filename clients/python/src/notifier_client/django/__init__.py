"""A Django app: reports sign-ins to Notifier, and ends a user's sessions after a dispute."""
