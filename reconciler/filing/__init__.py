"""Nonconformities are filed once: an outbox, a ledger of tickets, and what their systems say of them.

After a run, whoever joins the parts says what there is and lets it be sent::

    facts = [Facts(about="NC-000123", ...), ...]           # every nonconformity that is open, or that this run closed
    filing.enqueue(settings, database, facts, at=now)      # transactional, idempotent; nothing while it is not enabled
    asyncio.run(filing.exchange(settings, database, facts))  # read back, follow policy, send, compare

``enqueue`` may be called again with the same facts after any crash: what was asked for is not asked for again.
"""

from reconciler.filing.facts import Facts, Named
from reconciler.filing.night import Exchanged, enqueue, exchange

__all__ = ["Exchanged", "Facts", "Named", "enqueue", "exchange"]
