"""Throttling as Graph documents it: resource units of the directory per app and tenant, requests of the reports."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler import clock
from tests.simulators.graph.answers import Call, GraphError

_COSTS = (
    (re.compile(r"applications"), 2),
    (re.compile(r"groups/[^/]+/members.*"), 3),
    (re.compile(r"groups/[^/]+/transitiveMembers.*"), 5),
    (re.compile(r"(users/[^/]+|me)/(memberOf|transitiveMemberOf).*"), 2),
    (re.compile(r"oauth2PermissionGrants.*"), 2),
    (re.compile(r"servicePrincipals/[^/]+/appRoleAssignments"), 2),
    (re.compile(r"subscribedSkus"), 3),
    (re.compile(r"users"), 2),
    (re.compile(r"directoryObjects/getByIds"), 3),
)
_REPORTS = re.compile(r"(auditLogs|reports)/.*")


def cost(call: Call) -> int:
    """Return the resource units of a call: "Identity and access service limits", concepts/throttling-limits."""
    units = next((units for pattern, units in _COSTS if pattern.fullmatch(call.path)), 1)
    if "$select" in call.query:
        units -= 1
    if "$expand" in call.query:
        units += 1
    top = call.query.get("$top", "")
    if top.isdigit() and int(top) < 20:
        units -= 1
    return max(1, units)


@dataclass
class Window:
    """What was asked within one span of seconds."""

    starts: float
    used: int = 0
    refused: int = 0


@dataclass
class Throttle:
    """Limits of one app in one tenant; None is no limit. Windows are kept, for tests to see how full they were."""

    units: int | None = None
    """Resource units a window: documented are 3,500 (small tenants), 5,000 and 8,000 in 10 seconds."""
    reports: int | None = None
    """Requests a window of audit logs and reports: documented are 5 in 10 seconds."""
    seconds: float = 10.0
    announced: bool = True
    """Send Retry-After with a 429; some of Graph's services do not."""
    app_id: str = ""
    tenant_id: str = ""
    now: Callable[[], float] = clock.monotonic
    windows: list[Window] = field(default_factory=list)
    report_windows: list[Window] = field(default_factory=list)

    def admit(self, call: Call) -> Mapping[str, str]:
        """Count a call and return the headers that tell of it; raises the 429 that it is."""
        if _REPORTS.fullmatch(call.path):
            if self.reports is not None:
                self._count(self.report_windows, 1, self.reports, "Reports")
            return {}
        units = cost(call)
        headers = {"x-ms-resource-unit": str(units)}
        if self.units is not None:
            used = self._count(self.windows, units, self.units, "ResourceUnitLimitExceeded")
            if used > 0.8:
                headers["x-ms-throttle-limit-percentage"] = f"{used:.2f}"
        return headers

    def _count(self, windows: list[Window], units: int, most: int, information: str) -> float:
        at = self.now()
        if not windows or at >= windows[-1].starts + self.seconds:
            windows.append(Window(at))
        window = windows[-1]
        if window.used + units > most:
            window.refused += 1
            headers = {
                "x-ms-throttle-scope": f"Tenant_Application/ReadWrite/{self.app_id}/{self.tenant_id}",
                "x-ms-throttle-information": information,
            }
            if self.announced:
                headers["Retry-After"] = str(max(1, math.ceil(window.starts + self.seconds - at)))
            raise GraphError(429, "TooManyRequests", "Too many requests.", headers)
        window.used += units
        return window.used / most
