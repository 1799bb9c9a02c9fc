"""Reminders, escalations and digests: who is told of what is due, late or unowned.

After a run was recorded and its nonconformities followed, one line tells whoever is to be told; while notices are not
enabled it sends nothing::

    sent = notices.after_run(settings, snapshot, store.owing(), holders=holders, at=now)
    if not sent.complete: ...  # sent.errors and sent.unaddressed say who was not surely told, and why
"""

from reconciler.notices.addresses import emails
from reconciler.notices.ledger import Entry, Ledger
from reconciler.notices.planning import plan
from reconciler.notices.sending import Sent, after_run, check, listed, planned, refuse_disabled, send
from reconciler.notices.values import Contacts, Due, Notice, Plan, dues

__all__ = [
    "Contacts",
    "Due",
    "Entry",
    "Ledger",
    "Notice",
    "Plan",
    "Sent",
    "after_run",
    "check",
    "dues",
    "emails",
    "listed",
    "plan",
    "planned",
    "refuse_disabled",
    "send",
]
