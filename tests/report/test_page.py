"""The page says all, in every browser, and lets no directory entry become code."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from reconciler.estate.results import Finding, Outcome, Scope, State
from reconciler.report import ReportModel, build
from reconciler.report.page import EARLIER, FOLD, to_html
from tests.report.made_up import AS_OF, finding, read, rule, run


def page(model: ReportModel) -> str:
    return b"".join(to_html(model)).decode()


class Outline(HTMLParser):
    """Collects tags with attributes, the text that is shown, and checks that every element is closed in order."""

    VOID = frozenset({"meta", "link", "input", "br", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"style", "script"}:
            self.words.append(data)

    def attributes(self, name: str) -> Iterator[str]:
        return (attrs[name] or "" for _, attrs in self.tags if name in attrs)


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "<!-- -->",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_stays_a_name_wherever_it_stands(text: str) -> None:
    info = rule(
        **dict.fromkeys(("name", "title", "why", "remedy", "population", "stage", "layer", "status"), text),
        known_gaps=(text,),
        parameters={text: text},
    )
    subject: dict[str, str | None] = {"source": text, text: text}
    values: dict[str, Any] = {"reason": text, "person_id": text, "source": text, "subject": subject, "finding_id": text}
    findings = [
        finding(1, **values),
        finding(1, **values, verdict=Outcome.NOT_EVALUABLE),
        finding(1, **values, state=State.RESOLVED, resolved_at=AS_OF),
    ]
    coverage = tuple(
        read(text, text, partition=name + text, status="FAILED", gaps=[text], canaries=[text]) for name in "ab"
    )
    scopes: dict[str, tuple[Scope, ...]] = {
        "IG-LVR-001": (Scope(source=text, blocked=(text,)), Scope(source="x", population=1, passes=1))
    }
    night = run(rules=(info,), scopes=scopes, coverage=coverage, estate=text, run_id=text, snapshot=text, digest=text)
    plain = Outline(page(build(run(), [finding(1)], time_zone="UTC")))
    outline = Outline(page(build(night, findings, time_zone="UTC")))
    assert [tag for tag, _ in outline.tags].count("script") == 1
    assert {tag for tag, _ in outline.tags} <= {tag for tag, _ in plain.tags} | {"b", "i", "ul", "li", "h3"}
    assert not [name for _, attrs in outline.tags for name in attrs if name.startswith("on") or name == "style"]
    assert sum(text in words for words in outline.words) >= 20


def test_the_page_asks_nothing_of_any_network() -> None:
    text = page(build(run(), [finding(1)], time_zone="UTC"))
    outline = Outline(text)
    links = [*outline.attributes("href"), *outline.attributes("src"), *outline.attributes("action")]
    assert all(link.startswith(("#", "data:,")) for link in links)
    assert not re.search(r"@import|url\(|https?://", text)


def test_the_policy_allows_exactly_the_styles_and_the_script_of_the_page() -> None:
    text = page(build(run(), [], time_zone="UTC"))
    policy = next(a["content"] for t, a in Outline(text).tags if a.get("http-equiv") == "Content-Security-Policy") or ""
    for tag, name in (("style", "style-src"), ("script", "script-src")):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_five_thousand_findings_stay_below_five_megabytes_and_none_is_lost() -> None:
    findings = [finding(n, "IG-APR-001" if n % 2 else "IG-LVR-001") for n in range(5_000)]
    text = page(build(run(rules=(rule(), rule("IG-APR-001"))), findings, time_zone="UTC"))
    assert len(text.encode()) < 5_000_000
    assert all(f.finding_id[:12] in text for f in findings)
    assert f"Show all 2,500: {2_500 - FOLD:,} more" in text
    assert text.count('<tbody class="more">') == 2


def test_what_could_not_be_seen_comes_before_every_figure_and_names_the_reason() -> None:
    night = run(
        coverage=(
            read(),
            read("aws", "credentials", partition="1111", rows=3),
            read("aws", "credentials", partition="2222", status="FAILED", rows=None, gaps=["iam:ListUsers refused"]),
            read("qms", "people", status="PARTIAL", rows=4, provider_count=9, gaps=["people.csv line 5"]),
        ),
        scopes={"IG-LVR-001": (Scope(source="aws", blocked=("aws credentials FAILED.",)),)},
    )
    text = page(build(night, [], time_zone="UTC"))
    words = " ".join(" ".join(Outline(text).words).split())
    assert text.index("What could not be seen") < text.index('class="tile ') < text.index("Violations by cause")
    for said in ("iam:ListUsers refused", "1 of 2 parts: 2222", "people.csv line 5", "provider counts 9"):
        assert said in words
    assert "In aws critical Leaver keeps a usable account IG-LVR-001 aws credentials FAILED." in words
    assert "NOT JUDGED aws credentials FAILED." in words
    assert "Everything was seen" not in words
    assert "None known. Read what could not be seen" in words


def test_a_complete_run_is_calm() -> None:
    words = " ".join(Outline(page(build(run(), [], time_zone="UTC"))).words)
    assert "What could not be seen" not in words
    assert "Everything was seen: 1 source and 1 table read whole, 1 rule judged everywhere." in words
    assert "Nothing was resolved by this run." in words


def test_times_are_shown_in_the_estates_zone_and_in_utc() -> None:
    text = page(build(run(), [finding(1)], time_zone="America/New_York"))
    assert "Friday, 20 November 2026, 21:15</time> America/New_York" in text
    assert "(2026-11-21 02:15 UTC)" in text
    assert '<td class="t">2026-11-20 21:15</td>' in text


def test_unverified_findings_carry_their_last_known_state() -> None:
    text = page(build(run(), [finding(1, verified=False, state=State.REOPENED)], time_zone="UTC"))
    assert '<b class="mark unverified">unverified</b> <small>last known: reopened</small>' in text


def test_tiles_keep_what_was_not_verified_apart() -> None:
    findings = [
        finding(1),
        *(finding(n, verified=False, state=State.PERSISTING) for n in (2, 3)),
        *(finding(n, verdict=Outcome.NOT_EVALUABLE, verified=False) for n in (4, 5, 6)),
    ]
    text = page(build(run(), findings, time_zone="UTC"))
    words = " ".join(" ".join(Outline(text).words).split())
    assert "critical 1 and 2 last known new 1 persisting 0 unverified 2" in words
    assert "not evaluable 0 and 3 last known Neither" in words


def test_the_shorter_list_runs_across_the_coverage_matrix() -> None:
    wide = page(build(run(coverage=[read("a", table) for table in ("accounts", "grants")]), [], time_zone="UTC"))
    assert '<th scope="col">Table</th><th scope="col">a</th></tr>' in wide
    assert '<th scope="row">grants</th>' in wide
    long = page(build(run(coverage=[read(name, "role_holders") for name in ("a", "b")]), [], time_zone="UTC"))
    assert '<th scope="col">Source</th><th scope="col">role holders</th></tr>' in long
    assert '<th scope="row">b</th>' in long


def test_an_unknown_value_is_called_unknown() -> None:
    text = page(build(run(), [finding(1, person_id=None, subject={"account_id": None})], time_zone="UTC"))
    assert text.count('<td class="m"><i class="unknown">unknown</i></td>') == 2


def test_old_resolved_findings_are_counted_but_not_all_listed() -> None:
    earlier: list[Finding] = [
        finding(n, state=State.RESOLVED, resolved_at=AS_OF.replace(year=2025)) for n in range(EARLIER + 40)
    ]
    last = finding(9_999, state=State.RESOLVED, resolved_at=AS_OF, verified=False)
    words = " ".join(Outline(page(build(run(), [*earlier, last], time_zone="UTC"))).words)
    assert f"The latest {EARLIER}; 40 older ones are in the XLSX, CSV and JSON reports." in words
    assert "not verified by this run" in words


def test_a_rule_that_was_not_run_or_is_on_trial_says_so() -> None:
    gone = page(build(run(rules=()), [finding(1)], time_zone="UTC"))
    assert "This rule was not part of the run" in gone
    trial = page(build(run(rules=(rule(status="trial"),), scopes={}), [finding(1)], time_zone="UTC"))
    assert "<b>trial</b>" in trial
    assert "The run has no figures for this rule and source." in trial


def test_a_rule_says_by_which_values_it_judged() -> None:
    told = page(build(run(rules=(rule(parameters={"grace": "24 hours"}),)), [finding(1)], time_zone="UTC"))
    assert "<h4>Judged by</h4><p>grace: 24 hours</p>" in told


def test_a_sliver_of_violations_stays_visible_in_the_bar() -> None:
    scope = Scope(source="corp-ldap", population=1_000_000, violations=1, passes=999_999)
    text = page(build(run(scopes={"IG-LVR-001": (scope,)}), [finding(1)], time_zone="UTC"))
    assert '<rect class="violation" x="0.0" y="0" width="0.6" height="4"/>' in text
    assert "99.9 %" in text
