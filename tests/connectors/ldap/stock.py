"""The same entries as ldap3 itself decodes them, to hold our own decoder against."""

from __future__ import annotations

import ldap3

from connectors.ldap.client import Client, Search
from connectors.ldap.settings import Settings

Attributes = dict[str, list[bytes]]


def by_ldap3(url: str, user: str, password: str, base: str) -> dict[str, Attributes]:
    """Read every entry below ``base`` with all attributes through ldap3's own decoder and paging control."""
    server = ldap3.Server(url, get_info="NO_INFO")
    found: dict[str, Attributes] = {}
    stock = ldap3.Connection(server, user, password, auto_bind=True, raise_exceptions=True, check_names=False)
    try:
        cookie = None
        while cookie != b"":
            stock.search(base, "(objectClass=*)", attributes=["*", "+"], paged_size=50, paged_cookie=cookie)
            for item in stock.response or []:
                if item["type"] == "searchResEntry":
                    found[item["dn"]] = {k.lower(): list(v or ()) for k, v in item["raw_attributes"].items()}
            cookie = stock.result["controls"]["1.2.840.113556.1.4.319"]["value"]["cookie"]
    finally:
        stock.unbind()
    return found


def by_us(settings: Settings, base: str) -> dict[str, Attributes]:
    """Read the same through our client."""
    client = Client(settings, None)
    try:
        search = Search(base, "(objectClass=*)", ("*", "+"), 50)
        return {entry.dn: dict(entry.attributes) for answer in client.pages(search) for entry in answer.entries}  # type: ignore[arg-type] # the decoder makes lists
    finally:
        client.close()
