"""Read entries with python-ldap, which is written in C: what the LDAP connector is measured against.

Runs under whichever interpreter has python-ldap (Debian: python3-ldap, /usr/bin/python3), so it imports nothing of
ours. A JSON object on standard input: url, bind_dn, password, base, filter, attributes, page_size.
"""

from __future__ import annotations

import json
import sys
import time

import ldap  # type: ignore[import-not-found,unused-ignore] # Debian's, or none
from ldap.controls import SimplePagedResultsControl  # type: ignore[import-not-found,unused-ignore] # as above


def main() -> None:
    """Read every page and print records and CPU seconds."""
    given = json.loads(sys.stdin.read())
    connection = ldap.initialize(given["url"])
    connection.simple_bind_s(given["bind_dn"], given["password"])
    control = SimplePagedResultsControl(criticality=True, size=given["page_size"], cookie="")
    begun = time.process_time()
    rows = 0
    while True:
        asked = connection.search_ext(
            given["base"], ldap.SCOPE_SUBTREE, given["filter"], given["attributes"], serverctrls=[control]
        )
        _kind, found, _number, controls = connection.result3(asked)
        rows += len(found)
        cookie = next(each.cookie for each in controls if each.controlType == SimplePagedResultsControl.controlType)
        if not cookie:
            break
        control.cookie = cookie
    sys.stdout.write(json.dumps({"records": rows, "cpu": time.process_time() - begun, "version": ldap.__version__}))


if __name__ == "__main__":
    main()
