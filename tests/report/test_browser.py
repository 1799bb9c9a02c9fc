"""The page in a real browser: it shows, filters, asks for nothing, and breaks no policy of its own."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.estate.results import Scope, State
from reconciler.report import build, write
from tests.report.made_up import finding, read, rule, run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")


@dataclass(frozen=True)
class Shown:
    dom: str
    complaints: list[str]

    @property
    def status(self) -> str:
        return self.dom.split("<output", 1)[1].split(">", 1)[1].split("</output>", 1)[0]

    def rows(self) -> int:
        return self.dom.count('<tr data-s="') - self.dom.count('hidden=""><td><b')


Browse = Callable[..., Shown]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    def call(*options: str, fragment: str = "") -> Shown:
        assert CHROMIUM
        done = subprocess.run(
            [
                CHROMIUM,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                "--enable-logging=stderr",
                "--virtual-time-budget=4000",
                f"--user-data-dir={tmp_path / 'profile'}",
                *(options or ("--dump-dom",)),
                f"file://{tmp_path}/report.html{fragment}",
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return Shown(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line])

    return call


@pytest.fixture
def report(tmp_path: Path) -> Path:
    findings = [
        *(finding(n, reason=f"Ada Byron {n} left") for n in range(450)),
        *(
            finding(n, "IG-APR-001", source="aws", reason=f"Bohr {n} <holds>", state=State.PERSISTING)
            for n in range(30)
        ),
        finding(900, state=State.RESOLVED, resolved_at=run().as_of),
    ]
    scopes: dict[str, tuple[Scope, ...]] = {
        "IG-LVR-001": (Scope(source="corp-ldap", population=900, violations=450, passes=450),),
        "IG-APR-001": (Scope(source="aws", population=60, violations=30, passes=29, not_evaluable=1),),
    }
    night = run(rules=(rule(), rule("IG-APR-001")), scopes=scopes, coverage=(read(), read("aws", "grants")))
    write(build(night, findings, time_zone="Europe/Amsterdam"), "html", tmp_path / "report.html")
    return tmp_path / "report.html"


@pytest.mark.usefixtures("report")
def test_the_script_runs_under_the_policy_without_a_complaint(browse: Browse) -> None:
    shown = browse()
    assert shown.complaints == []
    assert shown.status == "481 findings"
    assert shown.rows() == 481


@pytest.mark.usefixtures("report")
@pytest.mark.parametrize(
    ("fragment", "status", "rows"),
    [
        ("#q=byron+44", "14 of 481 findings match", 14),
        ("#severity=critical&state=resolved", "1 of 481 findings match", 1),
        ("#state=persisting&source=aws&q=approved", "30 of 481 findings match", 30),
        ("#q=zebra", "Nothing matches the filter.", 0),
        ("#violations", "481 findings", 481),
    ],
)
def test_a_filter_in_the_address_is_applied(browse: Browse, fragment: str, status: str, rows: int) -> None:
    shown = browse(fragment=fragment)
    assert (shown.status, shown.rows(), shown.complaints) == (status, rows, [])


def test_without_its_script_the_page_hides_no_finding(browse: Browse, report: Path) -> None:
    text = report.read_text()
    start, end = text.index("<script>"), text.index("</script>")
    report.write_text(text[:start] + "<script>" + text[end:])
    shown = browse()
    assert shown.rows() == 481
    assert '<form class="tools" id="tools" role="search" hidden="">' in shown.dom


DRIVER = """
addEventListener("load", () => setTimeout(async () => {
  const said = [], wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const first = () => document.querySelector("#v1 tbody tr:not([hidden]) .r").textContent;
  const query = document.getElementById("q"), status = document.getElementById("shown");
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "/", bubbles: true }));
  said.push(document.activeElement === query);
  query.value = "byron 449"; query.dispatchEvent(new Event("input", { bubbles: true })); await wait(300);
  said.push(status.textContent, location.hash, document.querySelector("#v2").hidden);
  query.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  said.push(status.textContent, location.hash);
  const head = document.querySelectorAll("#v1 thead th")[1];
  head.firstChild.click(); said.push(first(), head.getAttribute("aria-sort"));
  head.firstChild.click(); said.push(first(), head.getAttribute("aria-sort"));
  const folded = document.querySelector("#v1 tbody.more");
  said.push(folded.rows.length, getComputedStyle(folded).display);
  document.querySelector("#v1 label").click(); said.push(getComputedStyle(folded).display);
  document.getElementById("collapse").click(); said.push(document.querySelectorAll("details.group[open]").length);
  document.title = JSON.stringify(said);
}));
"""


def test_keys_filter_sort_and_fold_work(browse: Browse, report: Path) -> None:
    """A driver script stands in for the hands; the page's own policy is widened by its hash and no further."""
    digest = base64.b64encode(hashlib.sha256(DRIVER.encode()).digest()).decode()
    text = report.read_text().replace("script-src '", f"script-src 'sha256-{digest}' '")
    report.write_text(text.replace("</body>", f"<script>{DRIVER}</script></body>"))
    shown = browse()
    assert shown.complaints == []
    title = html.unescape(shown.dom.split("<title>")[1].split("</title>")[0])
    assert json.loads(title) == [
        True,
        *("1 of 481 findings match", "#q=byron+449", True),
        *("481 findings", ""),
        *("Ada Byron 0 left", "ascending"),
        *("Ada Byron 449 left", "descending"),
        *(250, "none", "table-row-group", 0),
    ]


MEASURE = """
addEventListener("load", () => setTimeout(() => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  const beyond = (e) => [e.scrollWidth - e.clientWidth, e.scrollHeight - e.clientHeight];
  const page = document.documentElement;
  const said = [...document.querySelectorAll(".scroll:has(.matrix), .figures .blocked")].map(beyond);
  document.title = JSON.stringify([...said, [page.scrollWidth - page.clientWidth, 0]]);
}));
"""
TABLES = [
    *("accounts", "entitlements", "grants", "credentials", "people", "approvals", "suppliers", "contracts"),
    *("exceptions", "reviews", "trainings", "documents", "special_accounts"),
]


@pytest.mark.parametrize("width", [1000, 1400])
@pytest.mark.parametrize(
    ("sources", "tables"), [(["aws", "corp-ldap", "qms"], TABLES), ([f"site-{n}-ldap" for n in range(14)], TABLES[:3])]
)
def test_nothing_of_the_coverage_hides_behind_a_scroll_bar(
    browse: Browse, tmp_path: Path, width: int, sources: list[str], tables: list[str]
) -> None:
    coverage = [
        read(source, table, status="PARTIAL", rows=1_234_567, provider_count=2_345_678, gaps=["denied"])
        for source in sources
        for table in tables
    ]
    why = tuple(
        f"{source}: {table} is PARTIAL: {'the canary did not come back; ' * 9}"
        for source in sources
        for table in tables
    )
    night = run(coverage=coverage, scopes={"IG-LVR-001": (Scope(source="corp-ldap", blocked=why),)})
    write(build(night, [finding(1, verified=False)], time_zone="UTC"), "html", tmp_path / "report.html")
    digest = base64.b64encode(hashlib.sha256(MEASURE.encode()).digest()).decode()
    text = (tmp_path / "report.html").read_text().replace("script-src '", f"script-src 'sha256-{digest}' '")
    (tmp_path / "report.html").write_text(text.replace("</body>", f"<script>{MEASURE}</script></body>"))
    shown = browse("--dump-dom", f"--window-size={width},1200")
    assert shown.complaints == []
    assert json.loads(shown.dom.split("<title>")[1].split("</title>")[0]) == [[0, 0]] * 3


@pytest.mark.usefixtures("report")
@pytest.mark.parametrize("scheme", [(), ("--force-dark-mode",)])
def test_the_page_paints_in_both_schemes(browse: Browse, tmp_path: Path, scheme: tuple[str, ...]) -> None:
    picture = tmp_path / "page.png"
    browse(*scheme, f"--screenshot={picture}", "--window-size=700,400")
    colours, corner = pixels(picture)
    assert colours > 50
    assert (sum(corner) < 200) == bool(scheme)


def pixels(picture: Path) -> tuple[int, bytes]:
    """Count the distinct colours of a PNG and return its last pixel; filters undone as far as that needs."""
    raw = picture.read_bytes()
    width, height, _, kind = struct.unpack(">IIBB", raw[16:26])
    size, at, packed = {2: 3, 6: 4}[kind], 8, b""
    while at < len(raw):
        (length,) = struct.unpack(">I", raw[at : at + 4])
        packed += raw[at + 8 : at + 8 + length] if raw[at + 4 : at + 8] == b"IDAT" else b""
        at += length + 12
    data, before, line, seen = zlib.decompress(packed), bytearray(width * size), bytearray(), set()
    for row in range(height):
        start = row * (width * size + 1)
        mode, line = data[start], bytearray(data[start + 1 : start + 1 + width * size])
        undo(mode, line, before, size)
        seen |= {bytes(line[x : x + 3]) for x in range(0, len(line), size)}
        before = line
    return len(seen), bytes(line[-size:][:3])


def undo(mode: int, line: bytearray, before: bytearray, size: int) -> None:
    """Undo a PNG row filter in place."""
    for x in range(len(line) if mode else 0):
        left, up = (line[x - size] if x >= size else 0), before[x]
        corner = before[x - size] if x >= size else 0
        guess = left + up - corner
        paeth = min((left, up, corner), key=lambda value: abs(guess - value))
        line[x] = (line[x] + (0, left, up, (left + up) // 2, paeth)[mode]) & 255
