"""Reminders, escalations and digests: who is told of what is due, late or unowned."""
