"""Reminders, escalations and digests: who is told of what is due, late or unowned.

After a run, whoever joins the parts says what is owed and whom to ask, and lets it be sent::

    holders = snapshot.people.holders(snapshot, as_of=..., time_zone=...)
    owed = notices.dues(nonconformities, holders=holders, time_zone=...)
    contacts = notices.contacts(settings, snapshot, holders, owed)
    notices.send(settings, owed, contacts, at=now)   # nothing while [notices] enabled = false
"""

from reconciler.notices.addresses import contacts, emails
from reconciler.notices.ledger import Entry, Ledger
from reconciler.notices.planning import plan
from reconciler.notices.sending import Sent, check, planned, refuse_disabled, send
from reconciler.notices.values import Contacts, Due, Notice, Plan, dues

__all__ = [
    "Contacts",
    "Due",
    "Entry",
    "Ledger",
    "Notice",
    "Plan",
    "Sent",
    "check",
    "contacts",
    "dues",
    "emails",
    "plan",
    "planned",
    "refuse_disabled",
    "send",
]
