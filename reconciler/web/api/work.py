"""The work after the answer: deliveries that wait are looked at one after another, on a thread of their own."""

from __future__ import annotations

import logging
import threading
from datetime import datetime

from reconciler import clock
from reconciler.errors import ReconcilerError
from reconciler.log import explained
from reconciler.settings import Settings
from reconciler.web.api.checks import ReadTicket, check
from reconciler.web.api.deliveries import ATTEMPTS, Deliveries, Delivery, Outcome, State
from reconciler.web.api.endpoints import Endpoint
from reconciler.web.api.looks import Checked

_LOG = logging.getLogger(__name__)
_LOOK_AGAIN = 5.0
"""Seconds after which the queue is looked at unasked, for what is due again."""
_PATIENCE = 10.0
"""Seconds that a look under way may take when the server stops; it is begun again by the next."""


def work(
    settings: Settings,
    endpoints: dict[str, Endpoint],
    deliveries: Deliveries,
    delivery: Delivery,
    read_ticket: ReadTicket,
) -> Delivery:
    """Look at a delivery that was begun, keep what came of it, and return it."""
    outcome, state = _look(settings, endpoints, delivery, read_ticket)
    deliveries.end(delivery, outcome, state=state, at=clock.now())
    _LOG.info("%s %s: %s: %s", delivery.endpoint, delivery.delivery_id, state, outcome.said)
    return deliveries.show(delivery.endpoint, delivery.delivery_id)


def _look(
    settings: Settings, endpoints: dict[str, Endpoint], delivery: Delivery, read_ticket: ReadTicket
) -> tuple[Outcome, State]:
    endpoint = endpoints.get(delivery.endpoint)
    if endpoint is None:
        return Outcome(said=f"[inbound.{delivery.endpoint}] is no longer configured"), "failed"
    try:
        outcome, checked = check(settings, endpoint, delivery.body, at=clock.now(), read_ticket=read_ticket)
    except Exception as error:  # noqa: BLE001 - a defect met in one delivery must not keep the others waiting
        _LOG.debug("defect", exc_info=True)
        _LOG.error("%s %s: defect: %s", delivery.endpoint, delivery.delivery_id, explained(error))
        outcome, checked = Outcome(said=f"defect: {explained(error)}"), Checked(whole=False, again=True)
    return outcome, _state(checked, delivery.attempts)


def _state(checked: Checked, attempts: int) -> State:
    if checked.whole:
        return "done"
    return "waiting" if checked.again and attempts < ATTEMPTS else "failed"


class Worker:
    """Looks at what waits, until it is stopped."""

    def __init__(
        self, settings: Settings, endpoints: dict[str, Endpoint], deliveries: Deliveries, read_ticket: ReadTicket
    ) -> None:
        self._parts = settings, endpoints, deliveries, read_ticket
        self._wake = threading.Event()
        self._stopping = threading.Event()
        # A look that hangs on a silent server must not keep the process: what it was at stays in the queue.
        self._thread = threading.Thread(target=self._run, name="inbound", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether deliveries are looked at."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin; what an earlier process left is due at once."""
        self._thread.start()

    def wake(self) -> None:
        """Say that something waits."""
        self._wake.set()

    def stop(self) -> None:
        """End after the delivery that is being looked at."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        settings, endpoints, deliveries, read_ticket = self._parts
        resumed = False
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                if not resumed:
                    deliveries.resume(clock.now())
                    resumed = True
                while not self._stopping.is_set() and (delivery := _next(deliveries, clock.now())) is not None:
                    work(settings, endpoints, deliveries, delivery, read_ticket)
            except ReconcilerError as error:
                _LOG.error("deliveries wait: %s %s", error.message, error.advice)
            except Exception as error:  # noqa: BLE001 - whatever it is, without this thread nobody looks at anything
                _LOG.debug("defect", exc_info=True)
                _LOG.error("deliveries wait: defect: %s", explained(error))
            self._wake.wait(_LOOK_AGAIN)


def _next(deliveries: Deliveries, at: datetime) -> Delivery | None:
    """Begin what is due; one that was begun too often without an end is given up."""
    delivery = deliveries.take(at)
    while delivery is not None and delivery.attempts > ATTEMPTS:
        said = f"begun {ATTEMPTS} times and never ended: see whether it ends the process"
        deliveries.end(delivery, Outcome(said=said), state="failed", at=at)
        delivery = deliveries.take(at)
    return delivery
