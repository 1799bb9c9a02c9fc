"""The events table: CloudTrail's management events of the last days, looked up by name, per AWS account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from reconciler.sdk.connector import Cursor, Gap, Page
from reconciler.sdk.pace import Pacer
from reconciler.sdk.records import Event
from reconciler.sdk.window import lookback

from . import event_names
from .access import Directory, Where
from .connection import Calls, Connection, Reach
from .event_rows import Found, event_row
from .json_api import JsonApi, Run, at, typed
from .settings import Settings

_CALLS_PER_SECOND = 2.0
_SIZE = 50
_CALLS_A_PAGE = 10
_HOME = {"cn": "cn-north-1", "us-gov": "us-gov-west-1"}


class _Place(msgspec.Struct, array_like=True, frozen=True):
    """Where a chain is; the window is fixed at its start, so that it does not chase a moving end.

    ``center`` is fixed there too: what is looked up must not change under a running chain.
    """

    since: float
    until: float
    center: str | None = None
    look_up: int = 0
    token: str | None = None
    rows: int = 0


_decode = msgspec.json.Decoder(_Place).decode
_encode = msgspec.json.Encoder().encode


class Trail:
    """Reads CloudTrail's event history, which AWS keeps for 90 days without anybody having set it up."""

    def __init__(self, settings: Settings, connection: Connection, run: Run) -> None:
        self._settings = settings
        self._connection = connection
        self._run = run
        self._pacer = Pacer(concurrency=1, per_second=_CALLS_PER_SECOND)
        self._apis: dict[tuple[str, str], JsonApi] = {}

    def look_ups(self, *, center_region: str | None) -> list[tuple[str, str]]:
        """Return (region, event name) for all that is looked up in an account.

        IAM is recorded in one home region; sign-ins and sessions where they happen; Identity Center in its own
        region and its owner's account only, whose region ``center_region`` is.
        """
        home = home_region(self._settings.region)
        sources: dict[str, list[str]] = {home: [event_names.IAM]}
        for region in (home, *self._settings.events_regions):
            sources.setdefault(region, []).extend((event_names.SIGN_IN, event_names.STS))
        if center_region is not None:
            sources.setdefault(center_region, []).extend(event_names.CENTER)
        sessions = self._settings.events_role_sessions
        return [
            (region, name)
            for region, recorded in sources.items()
            for name in event_names.names_of(dict.fromkeys(recorded), role_sessions=sessions)
        ]

    async def page(
        self, where: Where, reach: Reach, directory: Directory, cursor: Cursor | None, *, center_region: str | None
    ) -> Page:
        """Read some look-ups; a chain that finds nothing asks once for any event, to know that it would be shown.

        ``center_region`` counts at the first page.
        """
        place = self._begin(center_region) if cursor is None else _decode(cursor)
        look_ups = self.look_ups(center_region=place.center)
        rows: list[Event] = []
        gaps: list[Gap] = []
        number, token = place.look_up, place.token
        for _ in range(_CALLS_A_PAGE):
            region, name = look_ups[number]
            wanted = {"AttributeKey": "EventName", "AttributeValue": name}
            found, token, problems = await self._look_up(reach, region, place, token, LookupAttributes=[wanted])
            gaps.extend(problems)
            for one in found:
                row, wrong = event_row(where, directory, one)
                rows.extend([row] if row else [])
                gaps.extend(wrong)
            if token is None:
                number += 1
            if number == len(look_ups) or len(rows) >= _SIZE:
                break
        count = place.rows + len(rows)
        if number < len(look_ups):
            following = _Place(place.since, place.until, place.center, number, token, count)
            return Page(rows, _encode(following).decode(), gaps)
        total = None
        if count == 0 and await self._shows_anything(reach, place):
            total = 0
        return Page(rows, None, gaps, total=total)

    async def probe(self, reach: Reach) -> None:
        """Ask for one event, to see whether that is allowed."""
        await self._look_up(reach, home_region(self._settings.region), self._begin(), None, size=1)

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        for api in self._apis.values():
            api.calls.close()
        self._apis.clear()

    async def _shows_anything(self, reach: Reach, place: _Place) -> bool:
        found, _, _ = await self._look_up(reach, home_region(self._settings.region), place, None, size=1)
        return bool(found)

    async def _look_up(
        self, reach: Reach, region: str, place: _Place, token: str | None, *, size: int = _SIZE, **params: object
    ) -> tuple[Sequence[Found], str | None, Sequence[Gap]]:
        api = self._api(reach, region)
        window: Mapping[str, object] = {"StartTime": at(place.since), "EndTime": at(place.until)}
        if size == 1:
            body = await api.first("LookupEvents", "Events", MaxResults=1, **window)
            return typed(body, Found, "events", "an event")[0], None, ()
        page = await api.page("LookupEvents", "Events", size=size, token=token, **window, **params)
        found, gaps = typed(page.items, Found, "events", "an event")
        return found, page.token, gaps

    def _begin(self, center: str | None = None) -> _Place:
        since, until = lookback(self._settings.events_days or 0)
        return _Place(since.timestamp(), until.timestamp(), center)

    def _api(self, reach: Reach, region: str) -> JsonApi:
        key = (reach.account_id, region)
        if key not in self._apis:
            calls = Calls(self._connection, reach, "cloudtrail", region, raw=True)
            self._apis[key] = JsonApi(calls, self._run, self._pacer, f"{reach.account_id} {region}")
        return self._apis[key]


def home_region(region: str) -> str:
    """Return the region in which AWS records what happens in IAM, for the AWS partition that ``region`` is in."""
    return next((home for prefix, home in _HOME.items() if region.startswith(f"{prefix}-")), "us-east-1")
