"""The signals that a project can receive."""

from django.dispatch import Signal

sign_in_disputed = Signal()
"""Sent after the sessions of a user were ended, in the same transaction.

Arguments: `event` (a SignInDisputed) and `user` (None when the user was deleted). When a receiver raises, everything is
rolled back and Notifier sends the event again.
"""
