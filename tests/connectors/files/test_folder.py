from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from reconciler.connectors import load
from reconciler.estate.tables import tables
from reconciler.sdk.columns import columns_of
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, Unreachable
from reconciler.sdk.records import RECORDS
from reconciler.sdk.testing import ReadRows, check_source
from tests.connectors.files.conftest import Folder, SmallPages, chain


def test_reports_are_the_columns_that_the_files_have(folder: Folder) -> None:
    folder.write("people.csv", "person_id,ends_on\nP1,\n")
    folder.write("ACCOUNTS.CSV", "account_id,login\nA1,ann\n")
    folder.write("suppliers.jsonl", '{"supplier_id": "S1"}\n')
    folder.write("readme.md", "not data")
    folder.write("~$people.xlsx", "what Excel leaves beside an open workbook")
    reports = folder.reports()
    assert list(reports) == ["accounts", "people", "suppliers"]
    assert reports["people"] == {"person_id", "ends_on"}
    assert reports["accounts"] == {"source", "account_id", "login"}
    assert dict(folder.reports(tables=["people"])) == {"people": {"person_id", "ends_on"}}


async def test_the_source_keeps_the_contract(folder: Folder) -> None:
    folder.write("people.csv", "person_id,ends_on\nP1,2026-01-01\n")
    folder.write("grants.csv", "principal_kind,principal_id,entitlement_id,assignment\naccount,A1,E1,direct\n")
    folder.write("exceptions.json", '[{"exception_id": "X1", "source": "corp-ldap"}]')
    source = folder.source()
    assert source.endpoint == folder.path.as_uri()
    assert await check_source(source) == []


def test_columns_agree_with_the_estate() -> None:
    for table in RECORDS:
        ours = [(column.name, column.key, column.values) for column in columns_of(table)]
        assert ours == [(column.name, column.key, column.values) for column in tables()[table].columns]


def test_the_column_map_names_the_files_own_columns(folder: Folder) -> None:
    folder.write("people.csv", "Personnel No;Name;status;Salary\n7;Ann;active;1\n8;Bob;left;x\n")
    mapped = {"person_id": "Personnel No", "employee_id": "Personnel No", "full_name": "Name"}
    chosen = {"delimiter": ";", "columns": {"people": mapped}, "ignore_columns": {"people": ["Salary"]}}
    ann, bob = folder.rows("people", **chosen)
    assert (ann.person_id, ann.employee_id, ann.full_name, ann.status) == ("7", "7", "Ann", "active")
    assert bob.person_id == "8"
    assert folder.rows("people", **chosen | {"ignore_columns": {"people": ["*"]}}) == [ann, bob]
    assert "no such column of people: 'Salary'" in folder.error("people", **chosen | {"ignore_columns": {}})
    folder.write("people.csv", "Personnel No;Name;Salary\n7;Ann;1\n7;Bob;1\n")
    assert "line 3: person_id '7' is on line 2 already" in folder.error("people", **chosen)
    folder.write("people.csv", "Personnel No;Name;Salary\n;Ann;1\n")
    assert "line 2, column Personnel No (person_id): empty" in folder.error("people", **chosen)


def test_a_mapped_column_fills_what_the_map_says_and_nothing_else(folder: Folder) -> None:
    folder.write("people.csv", "employee_id,full_name\n7,Ann\n")
    person = folder.one("people", columns={"people": {"person_id": "employee_id"}})
    assert (person.person_id, person.employee_id) == ("7", None)
    folder.write("people.csv", "person_id,status,HR Status\n7,old,new\n")
    chosen = {"columns": {"people": {"status": "HR Status"}}}
    assert "the column map takes status from 'HR Status'" in folder.error("people", **chosen)
    assert folder.one("people", **chosen, ignore_columns={"people": ["status"]}).status == "new"


@pytest.mark.parametrize(
    ("header", "settings", "says"),
    [
        ("person_id,fullname", {}, "no such column of people: 'fullname'; did you mean full_name?"),
        ("full_name", {}, "the key column person_id is missing"),
        ("personid", {}, "the key column person_id is missing; did you mean personid?"),
        ("person_id;full_name", {}, "the delimiter seems to be ';'"),
        ("person_id,,full_name", {}, "column 2 has no name"),
        ("person_id,kind,kind", {}, "the header has 'kind' twice"),
        ("person_id", {"columns": {"people": {"full_name": "Name"}}}, "takes full_name from 'Name', which is not a"),
        ("person_id", {"ignore_columns": {"people": ["Salary"]}}, "ignore_columns.people names 'Salary'"),
    ],
)
def test_a_header_that_does_not_fit(folder: Folder, header: str, settings: dict[str, object], says: str) -> None:
    folder.write("people.csv", f"{header}\n")
    assert says in folder.error("people", **settings)


def test_rows_of_another_source_have_no_place_in_an_identity_file(folder: Folder) -> None:
    folder.write("accounts.csv", "source,account_id\nqms,A1\nlegacy,A2\n")
    assert "line 3, column source: 'legacy' is not this source, qms" in folder.error("accounts")
    folder.write("accounts.csv", "source,account_id\nqms,A1\n")
    assert folder.one("accounts").source == "qms"
    folder.write("special_accounts.csv", "source,account_id\nlegacy,A2\n")
    assert folder.one("special_accounts").source == "legacy"
    folder.write("special_accounts.csv", "account_id\nA2\n")
    assert "the key column source is missing" in folder.error("special_accounts")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["peple.csv"], "qms/peple.csv: no such table; did you mean people?"),
        (["people.csv", "zzz.parquet"], "qms/zzz.parquet: no such table"),
        (["people.csv", "people.XLSX"], "people.XLSX and people.csv are for one table"),
        (["people.csv", "people.2026.csv"], "qms/people.2026.csv: no such table; did you mean people?"),
        (["people.tsv"], "qms/people.tsv: files of this kind are not read"),
        (["people.csv.gz"], "qms/people.csv.gz: files of this kind are not read"),
        (["links.csv"], "qms/links.csv: no such table"),
        ([], "no file of any table"),
        (["notes.txt"], "no file of any table"),
    ],
)
def test_a_file_that_would_not_be_read_is_an_error(folder: Folder, names: list[str], says: str) -> None:
    for name in names:
        folder.write(name, "person_id\nP1\n")
    assert says in folder.error("people")


def test_files_may_be_ignored_by_name_and_by_pattern(folder: Folder) -> None:
    for name in ("people.csv", "archive.csv", "old-1.json", "people.xlsx"):
        folder.write(name, "person_id\nP1\n")
    assert folder.one("people", ignore=["archive.csv", "old-*", "*.xlsx"]).person_id == "P1"


def test_a_table_asked_for_needs_its_file(folder: Folder) -> None:
    folder.write("people.csv", "person_id\nP1\n")
    assert "no file for the table contracts" in folder.error("people", tables=["people", "contracts"])


def test_settings_for_a_table_that_is_not_read_are_an_error(folder: Folder) -> None:
    folder.write("people.csv", "person_id\nP1\n")
    for key, value in (("columns", {"contract_id": "No"}), ("ignore_columns", ["x"]), ("sheets", "Data")):
        said = folder.error("people", **{key: {"contracts": value}})
        assert f"[sources.qms] {key}.contracts does nothing" in said
    said = folder.error("people", may_be_empty=["people", "approvals"])
    assert "[sources.qms] may_be_empty names approvals, which does nothing: qms has no file of approvals" in said


def test_a_remedy_that_begins_another_is_said_once(folder: Folder) -> None:
    folder.write("approvals.csv", "approval_id,decided_at\nA1,2026-01-01\nA2,2026-01-02T10:00:00\nA3,soon\n")
    said = folder.error("approvals")
    assert "has 3 problems" in said
    assert said.count("Write date, time and zone") == 1
    assert "or set time_zone" in said


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("tables", ["peple"], "no such table: peple; did you mean people?"),
        ("may_be_empty", ["peple"], "no such table: peple; did you mean people?"),
        ("columns", {"zzz": {}}, "no such table: zzz; tables are accounts"),
        ("columns", {"people": {"endson": "x"}}, "no such estate column: endson; did you mean ends_on?"),
        ("sheets", {"peple": "x"}, "did you mean people?"),
        ("delimiter", ";;", "must be one character"),
        ("delimiter", '"', "must be one character"),
        ("encoding", "utf-99", "is not a text encoding"),
        ("encoding", "base64", "is not a text encoding"),
        ("time_zone", "Amsterdam", "is not an IANA time zone"),
        ("time_zone", "../etc", "is not an IANA time zone"),
        ("date_format", "%d.%m.", "does not name day, month and year"),
        ("date_format", "%d.%m.%Y %H:%M", "has a time of day"),
        ("path", "", "at least 1 character"),
        ("sheet", "x", "Extra inputs"),
    ],
)
def test_wrong_settings_are_refused(key: str, value: object, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load("files").Settings.model_validate({"connector": "files", "path": "qms", key: value})
    assert says in str(caught.value)


def test_every_setting_is_described() -> None:
    for name, field in load("files").Settings.model_fields.items():
        assert field.description, name


def test_a_missing_folder_is_a_configuration_error(folder: Folder) -> None:
    shutil.rmtree(folder.path)
    assert "qms: no such folder" in folder.error("people")
    folder.path.write_text("a file", encoding="utf-8")
    assert "qms: is a file, not a folder" in folder.error("people")


@pytest.mark.parametrize("name", ["people.csv", "people.json", "people.xlsx"])
def test_a_folder_called_like_a_file_is_a_configuration_error(folder: Folder, name: str) -> None:
    (folder.path / name).mkdir()
    assert f"qms/{name}: Is a directory" in folder.error("people")


def test_an_absolute_path_is_taken_as_it_is(folder: Folder, tmp_path: Path) -> None:
    folder.write("people.csv", "person_id\nP1\n")
    assert folder.one("people", path=str(tmp_path / "qms")).person_id == "P1"


async def test_what_may_not_be_read_is_refused_with_the_right_that_is_missing(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder.write("people.csv", "person_id\nP1\n")
    if os.geteuid() == 0:  # root may read everything, so the system's answer is played

        def deny(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", deny)
    else:
        place.chmod(0)
    with pytest.raises(Refused, match=r"qms/people.csv: Permission denied") as caught:
        await folder.pages("people")
    assert caught.value.missing_permission == "read qms/people.csv"


async def test_a_file_that_vanishes_or_a_disk_that_fails_is_unreachable(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder.write("people.csv", "person_id\nP1\n")
    source = folder.source()
    (partition,) = await source.partitions("people", ReadRows())
    assert set(source.reports) == {"people"}
    place.unlink()
    with pytest.raises(Unreachable) as caught:
        await source.page("people", partition, None)
    assert caught.value.restart

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "stat", fail)
    with pytest.raises(Unreachable, match="Input/output error"):
        await source.page("people", partition, None)


def rows_of(*numbers: int) -> str:
    return "person_id\n" + "".join(f"P{number}\n" for number in numbers)


@pytest.mark.parametrize("way", ["longer", "replaced", "same size"])
async def test_a_file_that_changes_while_it_is_read_starts_the_partition_over(
    folder: Folder, small_pages: SmallPages, way: str
) -> None:
    small_pages(2)
    place = folder.write("people.csv", rows_of(*range(5)))
    source = folder.source()
    (partition,) = await source.partitions("people", ReadRows())
    first = await source.page("people", partition, None)
    if way == "longer":
        with place.open("a", encoding="utf-8") as export:
            export.write("P9\n")
    elif way == "replaced":
        other = folder.write("new.tmp", rows_of(5, 6, 7, 8, 9))
        os.utime(other, ns=(place.stat().st_atime_ns, place.stat().st_mtime_ns))
        other.replace(place)
    else:
        stat = place.stat()
        place.write_text(rows_of(5, 6, 7, 8, 9), encoding="utf-8")
        os.utime(place, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    with pytest.raises(Unreachable, match=r"people.csv changed while it was read") as caught:
        await source.page("people", partition, first.next)
    assert caught.value.restart
    again = await chain(source, "people", partition)
    assert sum(len(page.rows) for page in again) == (6 if way == "longer" else 5)
    await source.close()


async def test_columns_that_change_after_they_were_reported_are_refused(folder: Folder) -> None:
    folder.write("people.csv", "person_id,kind\nP1,employee\n")
    source = folder.source()
    await source.check()
    (partition,) = await source.partitions("people", ReadRows())
    folder.write("people.csv", "person_id\nP1\n")
    with pytest.raises(ConfigurationError, match="its columns changed"):
        await source.page("people", partition, None)


async def test_a_page_may_be_asked_for_again_and_in_any_order(folder: Folder, small_pages: SmallPages) -> None:
    small_pages(2)
    folder.write("people.csv", rows_of(*range(7)))
    source = folder.source()
    (partition,) = await source.partitions("people", ReadRows())
    whole = await chain(source, "people", partition)
    assert [page.next for page in whole] == ["2", "4", "6", None]
    assert await source.page("people", partition, "4") == whole[2]
    assert await source.page("people", partition, "2") == whole[1]
    assert await source.page("people", partition, "4") == whole[2]
    assert await source.page("people", partition, None) == whole[0]
    await source.close()
    await source.close()


async def test_a_last_page_that_is_just_full_ends_the_chain(folder: Folder, small_pages: SmallPages) -> None:
    small_pages(2)
    folder.write("people.csv", rows_of(1, 2, 3, 4))
    assert [(len(page.rows), page.next) for page in await folder.pages("people")] == [(2, "2"), (2, None)]


async def test_canaries_are_named_on_the_page_where_they_are(folder: Folder, small_pages: SmallPages) -> None:
    small_pages(2)
    folder.write("people.csv", rows_of(1, 2, 3))
    pages = await folder.pages("people", canaries=["P3", "P8"])
    assert [page.canaries for page in pages] == [frozenset(), {"P3"}]


async def test_a_table_or_partition_that_was_never_listed_is_a_defect(folder: Folder) -> None:
    folder.write("people.csv", rows_of(1))
    source = folder.source()
    (partition,) = await source.partitions("people", ReadRows())
    with pytest.raises(Misbehaved):
        await source.partitions("contracts", ReadRows())
    with pytest.raises(Misbehaved):
        await source.page("people", type(partition)("contracts.csv"), None)
