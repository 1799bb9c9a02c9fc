"""The public keys that vaults sign Spark messages with, fetched once a day at most."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx

from reconciler.sdk.errors import Unreachable
from reconciler.sdk.hosts import is_loopback
from reconciler.web.api.signatures import NotGenuineError

_KEPT = timedelta(days=1)
_PAUSE = timedelta(seconds=30)
"""Between two questions for a certificate that was not there: whoever makes up ids may not have us ask for each."""
_LARGEST = 64 * 1024
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Kept:
    certificate: bytes
    at: datetime


class Certificates:
    """The certificates of one endpoint, by id. https://developer.veevavault.com/api/ Retrieve Signing Certificate."""

    def __init__(self, url: str) -> None:
        self._url = httpx.URL(url if url.endswith("/") else url + "/")
        self._kept: dict[str, _Kept] = {}
        self._in_vain: datetime | None = None
        self._turn = asyncio.Lock()

    async def get(self, certificate_id: str, now: datetime) -> bytes:
        """Return a PEM certificate.

        Raises ``NotGenuineError`` where the vault has none of that id, and ``Unreachable`` where that could not be
        learned: then the delivery is neither genuine nor forged.
        """
        async with self._turn:
            kept = self._kept.get(certificate_id)
            if kept is not None and now - kept.at <= _KEPT:
                return kept.certificate
            try:
                found = await self._ask(certificate_id, now)
            except Unreachable:
                if kept is None:
                    raise
                return kept.certificate  # it says itself until when it is valid, and that is looked at each time
            if found is None:
                raise NotGenuineError("the vault has no certificate of that id")
            self._kept[certificate_id] = _Kept(found, now)
            return found

    async def _ask(self, certificate_id: str, now: datetime) -> bytes | None:
        if self._in_vain is not None and now - self._in_vain < _PAUSE:
            raise Unreachable("a certificate was asked for in vain just now", advice="It is asked for again later.")
        self._in_vain = now
        found = await self._fetch(certificate_id)
        if found is not None:
            self._in_vain = None
        return found

    async def _fetch(self, certificate_id: str) -> bytes | None:
        url = self._url.join(certificate_id)
        where = f"{url.host}{url.path}"
        advice = "Check the network and certificate_url; the vault sends its message again."
        found = bytearray()
        try:
            async with (
                asyncio.timeout(_SECONDS),
                httpx.AsyncClient(
                    follow_redirects=False, timeout=_SECONDS, trust_env=not is_loopback(url.host)
                ) as client,
                client.stream("GET", url) as response,
            ):
                async for part in response.aiter_bytes():
                    found += part
                    if len(found) > _LARGEST:
                        raise Unreachable(f"{where}: the answer is too large for a certificate", advice=advice)
        except (TimeoutError, httpx.HTTPError) as error:
            raise Unreachable(f"{where}: {type(error).__name__}", advice=advice) from None
        if response.status_code in {httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND}:
            return None
        if response.status_code != httpx.codes.OK:
            raise Unreachable(f"{where}: HTTP {response.status_code}", advice=advice)
        # Vault answers 200 with an error in JSON where there is no such certificate.
        return bytes(found) if found.lstrip().startswith(b"-----BEGIN CERTIFICATE-----") else None
