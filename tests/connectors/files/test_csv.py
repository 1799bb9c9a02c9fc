from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from reconciler.sdk.errors import ConfigurationError
from tests.connectors.files.conftest import Folder, SmallPages

PEOPLE = "person_id,full_name,emails,kind,ends_on,time_zone\n"


def test_every_kind_of_value_is_read(folder: Folder) -> None:
    folder.write(
        "people.csv",
        "\ufeffperson_id,full_name,emails,logins,kind,starts_on,ends_on,time_zone\r\n"
        '007, Ann Smith ,"ann@x.t, a@y.t;b@z.t","[""ann"", ""CN=Ann,DC=x""]",employeE,2020-02-29,,Asia/Tokyo\r\n',
    )
    ann = folder.one("people")
    assert ann.person_id == "007"
    assert ann.full_name == "Ann Smith"
    assert ann.emails == ["ann@x.t", "a@y.t", "b@z.t"]
    assert ann.logins == ["ann", "CN=Ann,DC=x"]
    assert ann.kind == "employee"
    assert (ann.starts_on, ann.ends_on) == (date(2020, 2, 29), None)
    assert ann.department is None


def test_only_mail_fields_are_split_at_commas(folder: Folder) -> None:
    folder.write("contracts.csv", 'contract_id,scope,headcount\nC1,"CN=a,DC=x; CN=b,DC=x | c ;;",12\nC2,;,\n')
    first, second = folder.rows("contracts")
    assert first.scope == ["CN=a,DC=x", "CN=b,DC=x", "c"]
    assert first.headcount == 12
    assert (second.scope, second.headcount) == ([], None)
    assert folder.rows("contracts", list_separator=",")[0].scope == ["CN=a", "DC=x; CN=b", "DC=x | c ;;"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-03-29T01:30:00+01:00", datetime(2026, 3, 29, 0, 30, tzinfo=UTC)),
        ("2026-03-29 00:30Z", datetime(2026, 3, 29, 0, 30, tzinfo=UTC)),
        ("2026-03-29T00:30:15.123456789z", datetime(2026, 3, 29, 0, 30, 15, 123456, tzinfo=UTC)),
        ("2026-03-29 00:30:00 +0200", datetime(2026, 3, 28, 22, 30, tzinfo=UTC)),
    ],
)
def test_instants_are_brought_to_utc(folder: Folder, written: str, meant: datetime) -> None:
    folder.write("approvals.csv", f"approval_id,decided_at\nA1,{written}\n")
    assert folder.one("approvals").decided_at == meant


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("2026-03-29T01:30:00", "has no time zone where an instant is due"),
        ("2026-03-29", "a date without time and zone where an instant is due"),
        ("29.03.2026 10:00", "is no instant"),
        ("2026-13-01T00:00:00Z", "is no instant"),
        ("0001-01-01T00:00:00+05:00", "outside the calendar"),
        ("tomorrow", "is no instant"),
    ],
)
def test_what_is_no_instant_is_refused_with_its_place(folder: Folder, written: str, says: str) -> None:
    folder.write("approvals.csv", f"approval_id,decided_at\nA1,\nA2,{written}\n")
    said = folder.error("approvals")
    assert "qms/approvals.csv, line 3, column decided_at:" in said
    assert says in said


def test_times_without_a_zone_are_read_in_the_declared_one_unless_the_clocks_change(folder: Folder) -> None:
    folder.write("approvals.csv", "approval_id,decided_at\nA1,2026-01-10T12:00:00\nA2,2026-07-10T12:00:00Z\n")
    first, second = folder.rows("approvals", time_zone="Europe/Amsterdam")
    assert first.decided_at == datetime(2026, 1, 10, 11, tzinfo=UTC)
    assert second.decided_at == datetime(2026, 7, 10, 12, tzinfo=UTC)
    for moment in ("2026-10-25T02:30:00", "2026-03-29T02:30:00"):
        folder.write("approvals.csv", f"approval_id,decided_at\nA1,{moment}\n")
        assert "change of the clocks of Europe/Amsterdam" in folder.error("approvals", time_zone="Europe/Amsterdam")
    folder.write("approvals.csv", "approval_id,decided_at\nA1,2026-10-25\n")
    assert "a date without time" in folder.error("approvals", time_zone="Europe/Amsterdam")


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ("P1,A,,pirate,,", "kind", "'pirate' is not one of employee, contractor, supplier, external"),
        ("P1,A,,emploee,,", "kind", "did you mean employee?"),
        ("P1,A,,,31-03-2026,", "ends_on", "is no date"),
        ("P1,A,,,2026-02-30,", "ends_on", "day is out of range"),
        ("P1,A,,,20260331,", "ends_on", "is no date"),
        ("P1,A,,,2026-03-31T00:00:00Z,", "ends_on", "has a time of day where a date is due"),
        ("P1,A,,,,Europe/Amsterdm", "time_zone", "did you mean Europe/Amsterdam?"),
        ('P1,A,"[""a""",,,', "emails", "begins as a JSON list"),
        ('P1,A,"[""a"", 1]",,,', "emails", "stands in a list of texts"),
        (",A,,,,", "person_id", "part of the key"),
        ('"P\n1",A,,,,', "person_id", "line break"),
    ],
)
def test_a_wrong_value_names_file_line_column_and_remedy(folder: Folder, row: str, column: str, says: str) -> None:
    folder.write("people.csv", PEOPLE + 'P0,"Two\nlines",,,,\n\n' + row + "\n")
    said = folder.error("people")
    assert f"qms/people.csv, line 5, column {column}: " in said
    assert says in said


@pytest.mark.parametrize(
    ("written", "means"), [("true", True), ("YES", True), ("1", True), ("no", False), ("0", False), ("", None)]
)
def test_yes_and_no(folder: Folder, written: str, means: bool | None) -> None:
    folder.write("accounts.csv", f"account_id,mfa_enrolled\nA1,{written}\n")
    account = folder.one("accounts")
    assert account.mfa_enrolled is means
    assert account.source == "qms"


@pytest.mark.parametrize("wrong", ["y", "-1", "2", "on"])
def test_neither_yes_nor_no(folder: Folder, wrong: str) -> None:
    folder.write("accounts.csv", f"account_id,mfa_enrolled\nA1,{wrong}\n")
    assert "neither yes nor no" in folder.error("accounts")


@pytest.mark.parametrize("wrong", ["1.5", "1_000", "twelve", "9" * 19, "١٢"])
def test_what_is_no_whole_number(folder: Folder, wrong: str) -> None:
    folder.write("contracts.csv", f"contract_id,headcount\nC1,{wrong}\n")
    assert "line 2, column headcount" in folder.error("contracts")


@pytest.mark.parametrize("wrong", ["[1]", "{", "[" * 100_000])
def test_attributes_are_a_json_object(folder: Folder, wrong: str) -> None:
    folder.write("accounts.csv", f"account_id;attributes\nA1;{wrong}\n")
    assert "column attributes" in folder.error("accounts", delimiter=";")
    folder.write("accounts.csv", 'account_id;attributes\nA1;{"site": "Delft"}\n')
    assert folder.one("accounts", delimiter=";").attributes == '{"site": "Delft"}'


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("a,b\nP1\n", 2, "too few fields: 1, the header has 2"),
        ("a,b\nP1,2,3\n", 2, "too many fields: 3, the header has 2"),
        ('a,b\n"x\ny",2\nP2\n', 4, "too few fields"),
        ('a,b\nP1,"never closed\nP2,x\n', 2, "malformed CSV: unexpected end of data"),
        ('a,b\nP1,x\nP2,"half"quoted\n', 3, "malformed CSV"),
        ("a,b\nP1,\0\n", 2, "NUL"),
        ('a,b\nP1,"' + "x" * 140_000 + '"\n', 2, "field larger than field limit"),
    ],
)
def test_a_malformed_row_names_the_line_it_starts_on(folder: Folder, content: str, line: int, says: str) -> None:
    folder.write("people.csv", content.replace("a,b", "person_id,full_name", 1))
    said = folder.error("people")
    assert f"qms/people.csv, line {line}: {says}" in said or (f"line {line}" in said and says in said)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way(folder: Folder, ending: str) -> None:
    folder.write("people.csv", ending.join(["person_id,full_name", "P1,A", "", "P2,", ""]))
    assert [row.person_id for row in folder.rows("people")] == ["P1", "P2"]


def test_bytes_that_are_not_the_encoding_are_named_by_offset_and_line(folder: Folder) -> None:
    head = b"person_id,full_name\nP1,A\nP2,"
    place = folder.write("people.csv", head + b"Andr\xe9\n")
    said = folder.error("people")
    assert "line 3: byte 32 is not utf-8-sig" in said
    assert "cp1252" in said
    assert folder.rows("people", encoding="cp1252")[1].full_name == "André"
    place.write_bytes(b"\xef\xbb\xbf" + head + b"Andr\xe9\n")
    assert "line 3: byte 35 is not utf-8-sig" in folder.error("people")
    place.write_bytes("person_id\nP1\n".encode("utf-16"))
    assert "utf-16" in folder.error("people")
    assert folder.one("people", encoding="utf-16").person_id == "P1"
    folder.write("people.csv", "person_id\nP1\n")
    assert "is not utf-16" in folder.error("people", encoding="utf-16")


def test_a_bad_byte_far_into_a_large_file_is_found(folder: Folder) -> None:
    rows = b"".join(b"P%07d,A\n" % number for number in range(300_000))
    folder.write("people.csv", b"person_id,full_name\n" + rows + b"PX,\xff\n")
    assert f"line 300002: byte {20 + len(rows) + 3} is not" in folder.error("people")


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_a_failed_export(folder: Folder, content: str) -> None:
    folder.write("people.csv", content)
    assert "the export may have failed" in folder.error("people")


async def test_a_header_alone_says_that_there_are_none_where_none_is_ordinary(folder: Folder) -> None:
    folder.write("suppliers.csv", "supplier_id,name\n")
    (page,) = await folder.pages("suppliers")
    assert (list(page.rows), page.next, page.total, page.gaps) == ([], None, 0, ())


def test_both_lines_of_a_duplicate_key_are_named(folder: Folder) -> None:
    folder.write("reviews.csv", "review_id,source,account_id,entitlement_id\nR,s,a,e\nR,s,a,f\nR,s,a,e\nR,s,b,e\n")
    said = folder.error("reviews")
    assert "line 4: review_id 'R', source 's', account_id 'a', entitlement_id 'e' is on line 2 already" in said
    assert "problems" not in said
    folder.write("role_holders.csv", "role,person_id,since\nR,P1,2026-01-01\nR,P1,2026-01-01\n")
    assert "line 3: role 'R', person_id 'P1', since '2026-01-01' is on line 2" in folder.error("role_holders")


def test_a_duplicate_is_found_across_pages_and_among_bad_rows(folder: Folder, small_pages: SmallPages) -> None:
    small_pages(2)
    rows = [f"P{number},employee" for number in range(9)]
    folder.write("people.csv", "\n".join(["person_id,kind", *rows, "P3,pirate", "P3,employee"]))
    said = folder.error("people")
    assert "line 11: person_id 'P3' is on line 5 already" in said
    assert "line 12: person_id 'P3' is on line 5 already" in said
    assert "line 11, column kind: 'pirate'" in said


def test_keys_of_one_hash_are_told_apart(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("people.csv", "person_id\nP1\nP2\nP1\n")
    monkeypatch.setattr("reconciler.connectors.files.client.hash", lambda _: 1, raising=False)
    said = folder.error("people")
    assert "line 4: person_id 'P1' is on line 2 already" in said
    assert "'P2'" not in said


def test_problems_are_gathered_up_to_twenty(folder: Folder) -> None:
    folder.write("people.csv", "person_id,kind\n" + "".join(f"P{number},pirate\n" for number in range(3)))
    assert folder.error("people").count("'pirate' is not one of") == 3
    folder.write("people.csv", "person_id,kind\n" + "".join(f"P{number},pirate\n" for number in range(50)))
    said = folder.error("people")
    assert said.count("'pirate' is not one of") == 20
    assert "there may be more" in said
    folder.write("people.csv", "person_id\n" + "P1\n" * 50)
    assert folder.error("people").count("is on line 2 already") == 20


async def test_a_bad_row_far_down_fails_the_partition_at_the_page_where_it_stands(
    folder: Folder, small_pages: SmallPages
) -> None:
    small_pages(1000)
    good = "".join(f"P{number},2026-01-01\n" for number in range(9000))
    folder.write("people.csv", "person_id,ends_on\n" + good + "PX,never\n")
    with pytest.raises(ConfigurationError, match="line 9002, column ends_on: 'never' is no date"):
        await folder.pages("people")


def test_further_null_values_and_another_date_format(folder: Folder) -> None:
    folder.write("people.csv", "person_id,full_name,ends_on\nP1, n/a ,31.03.2026\nP2,NULL,NULL\n")
    first, second = folder.rows("people", null_values=["n/a", "NULL"], date_format="%d.%m.%Y")
    assert (first.full_name, first.ends_on) == (None, date(2026, 3, 31))
    assert (second.full_name, second.ends_on) == (None, None)
    said = folder.error("people", null_values=["NULL"], date_format="%Y/%m/%d")
    assert "'31.03.2026' is no date" in said
