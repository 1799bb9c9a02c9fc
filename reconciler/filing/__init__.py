"""Nonconformities are filed once: an outbox, a ledger of tickets, and what their systems say of them.

After a run was recorded and its nonconformities followed, one line files what is new, reads tickets back, does what
policy says and compares the ledger with each system; while filing is not enabled it does nothing::

    exchanged = asyncio.run(filing.after_run(settings, database))
    if not exchanged.complete: ...  # something could not be filed or read: exit code 5, `reconciler filing status`

Its parts stand apart too: ``known`` reads nonconformities as ``Facts``, ``enqueue`` asks for tickets (once, whatever
is asked again), ``exchange`` does the rest. ``outbox.ask`` and ``outbox.ask_change`` work in a caller's transaction.
"""

from reconciler.filing.facts import Facts, Named
from reconciler.filing.ledger import Entry, status
from reconciler.filing.night import Exchanged, after_run, enqueue, exchange
from reconciler.filing.reading import known
from reconciler.filing.sending import Pace

__all__ = ["Entry", "Exchanged", "Facts", "Named", "Pace", "after_run", "enqueue", "exchange", "known", "status"]
