"""Notices over real SMTP and HTTP: each once, and nobody guesses whether one arrived."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from reconciler.errors import ConfigurationError
from reconciler.notices import Ledger, Sent, after_run, refuse_disabled
from reconciler.notices import ledger as ledgers
from reconciler.notices import smtp as mailing
from reconciler.settings import Settings
from tests.notices.posts import ADDRESSED, LOCAL, MAIL, NOW, Post, configured, sent
from tests.notices.test_planning import CONTACTS, DUE, HELD, due, nonconformity


def test_a_reminder_arrives_once_signed_in_and_encrypted(tmp_path: Path, url: str, post: Post) -> None:
    settings = configured(tmp_path, MAIL.format(port=post.port), url=url)
    assert sent(settings) == Sent(sent=1)
    assert sent(settings) == Sent()
    ((sender, recipient, message),) = post.desk.kept
    assert (sender, recipient) == ("reconciler@acme.test", "ada@acme.test")
    assert message["Subject"] == "Due 2026-03-18 13:00 CET: NC-000001 A leaver can sign in"
    assert message["Message-ID"].endswith("@acme.test>")
    assert message.get_content_type() == "text/plain"
    text = message.get_content()
    assert "rule:     IG-LVR-001, in corp" in text
    assert "findings that stand: 3" in text
    assert post.desk.tls == [True]
    assert post.desk.users == [b"mailer"]
    (entry,) = Ledger(settings.database_url).all()
    assert (entry.state, entry.attempts, entry.error) == ("sent", 1, None)


def test_nobody_is_named_unless_personal_data_may_go_out(tmp_path: Path, plain: tuple[Post, Settings]) -> None:
    post, settings = plain
    named = due(statement="Ada Byron can sign in", owner="P1")
    assert sent(settings, named).sent == 1
    assert "Byron" not in post.desk.kept[0][2].get_content()
    open_handed = configured(tmp_path, LOCAL.format(port=post.port) + "[filing]\npersonal_data = true\n")
    assert sent(open_handed, msgspec.structs.replace(named, about="NC-2")).sent == 1
    assert "Ada Byron can sign in" in post.desk.kept[1][2].get_content()


def test_whatever_a_title_holds_it_starts_no_header_and_ends_no_text(plain: tuple[Post, Settings]) -> None:
    post, settings = plain
    nasty = due(title="Late\r\nBcc: evil@acme.test\r\n\r\n.\r\nMAIL FROM:<x>\x00\u2028é", statement="")
    assert sent(settings, nasty).sent == 1
    ((_, recipient, message),) = post.desk.kept
    assert recipient == "ada@acme.test"
    assert message["Bcc"] is None
    assert "Late Bcc: evil@acme.test . MAIL FROM:<x> é" in message["Subject"]


def test_a_long_list_is_cut_and_says_so(plain: tuple[Post, Settings]) -> None:
    post, settings = plain
    owed = [due(f"NC-{number:06}", due_at=DUE + timedelta(days=90)) for number in range(60)]
    listed = settings.config.notices.model_copy(update={"digest_weekdays": ["mon", "tue", "wed"]})
    config = settings.config.model_copy(update={"notices": listed})
    assert sent(dataclasses.replace(settings, config=config), *owed).sent == 1
    text = post.desk.kept[0][2].get_content()
    assert text.count("severity:") == 50
    assert "... and 10 more" in text


def test_what_the_server_takes_later_is_sent_later(plain: tuple[Post, Settings]) -> None:
    post, settings = plain
    post.desk.at_rcpt["ada@acme.test"] = "451 try again later"
    first = sent(settings, due(), due("NC-2", owner="P2", owner_role="lead"))
    assert (first.sent, first.waiting, first.complete) == (1, 1, False)
    assert "the server says 451 try again later" in first.errors[0]
    del post.desk.at_rcpt["ada@acme.test"]
    assert sent(settings, due(), due("NC-2", owner="P2", owner_role="lead")) == Sent(sent=1)
    assert [kept[1] for kept in post.desk.kept] == ["bob@acme.test", "ada@acme.test"]


@pytest.mark.parametrize(("answer", "state"), [("452 full", "waiting"), ("554 spam", "failed"), ("hang up", "unknown")])
def test_an_answer_after_the_text_decides(plain: tuple[Post, Settings], answer: str, state: str) -> None:
    post, settings = plain
    post.desk.after_data = answer
    first = sent(settings)
    assert getattr(first, state) == 1
    assert not first.complete
    (entry,) = Ledger(settings.database_url).all()
    assert entry.state == state
    post.desk.after_data = "250 OK"
    assert sent(settings).sent == (1 if state == "waiting" else 0)
    assert len(post.desk.kept) == {"waiting": 1, "failed": 0, "unknown": 1}[state]


def test_what_failed_or_is_unknown_is_sent_again_on_somebodys_word_alone(plain: tuple[Post, Settings]) -> None:
    post, settings = plain
    post.desk.after_data = "hang up"
    sent(settings)
    post.desk.after_data = "250 OK"
    ledger = Ledger(settings.database_url)
    (entry,) = ledger.all()
    with pytest.raises(ConfigurationError, match="who and why"):
        ledger.again(entry.number, {entry.key}, by=" ", reason="it never came")
    with pytest.raises(ConfigurationError, match=f"notice {entry.number} is no longer due: reminder"):
        ledger.again(entry.number, set(), by="P9", reason="it never came")
    assert [one.state for one in ledger.all()] == ["unknown"]
    assert ledger.again(entry.number, {entry.key}, by="P9", reason="it never came").state == "waiting"
    assert sent(settings) == Sent(sent=1)
    assert [str(kept[2]["Message-ID"]) for kept in post.desk.kept] == [str(post.desk.kept[0][2]["Message-ID"])] * 2
    for number in (entry.number, 99):
        with pytest.raises(ConfigurationError, match="only one that is unknown or failed"):
            ledger.again(number, {entry.key}, by="P9", reason="again")


def test_an_odd_address_of_one_person_keeps_nobody_from_being_told(
    plain: tuple[Post, Settings],
) -> None:
    post, settings = plain
    odd = msgspec.structs.replace(CONTACTS, emails=dict(CONTACTS.emails) | {"P1": "ada..byron@acme.test"})
    told = sent(settings, due(), due("NC-2", owner="P2", owner_role="lead"), contacts=odd)
    assert (told.sent, told.complete) == (1, False)
    assert told.unaddressed == ("NC-000001: role access-owner has no address that mail can be sent to",)
    assert [kept[1] for kept in post.desk.kept] == ["bob@acme.test"]


def test_what_is_no_longer_due_is_dropped_and_what_is_due_again_is_not(plain: tuple[Post, Settings]) -> None:
    post, settings = plain
    post.desk.at_rcpt["ada@acme.test"] = "451 later"
    sent(settings)
    del post.desk.at_rcpt["ada@acme.test"]
    assert sent(settings, due("NC-2", due_at=DUE + timedelta(days=90))) == Sent()
    (entry,) = Ledger(settings.database_url).all(state="dropped")
    assert (entry.error or "").startswith("no longer due before it could be sent; the server says 451")
    assert sent(settings) == Sent(sent=1)


def test_mail_that_was_being_sent_when_its_process_was_killed_is_unknown(
    plain: tuple[Post, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    post, settings = plain

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mailing.Mailer, "send", killed)
        with pytest.raises(KeyboardInterrupt):
            sent(settings)
    assert [one.state for one in Ledger(settings.database_url).all()] == ["sending"]
    assert sent(settings) == Sent()  # it may be another process that sends it just now
    monkeypatch.setattr(ledgers, "DEAD", timedelta(days=-400))
    after = sent(settings)
    assert (after.unknown, after.complete) == (1, False)
    (said,) = after.errors
    assert said.startswith("notice 1 to ada@acme.test about NC-000001: unknown: the process ended while it was")
    assert sent(settings) == Sent()  # said once
    assert [one.state for one in Ledger(settings.database_url).all()] == ["unknown"]
    assert post.desk.kept == []


def test_two_processes_that_send_at_once_send_each_notice_once(tmp_path: Path, url: str) -> None:
    owed = [due(f"NC-{number}") for number in range(6)]
    with Post(tmp_path, plain=True) as server:
        settings = configured(tmp_path, LOCAL.format(port=server.port), url=url)
        Ledger(settings.database_url)
        with ThreadPoolExecutor(3) as senders:
            told = list(senders.map(lambda _: sent(settings, *owed), range(3)))
    assert sum(one.sent for one in told) == len(owed)
    assert all(one.complete for one in told)
    assert len({str(message["Message-ID"]) for _, _, message in server.desk.kept}) == len(server.desk.kept) == len(owed)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"127.0.0.1"', '"mail.acme.test"', "security = none would carry mail"),
        ('security = "none"', 'security = "none"\nusername = "mailer"', "needs both username and password"),
        ('security = "none"', 'security = "none"\nca_file = "missing.pem"', "cannot read the certificates"),
        ("reconciler@acme.test", "<reconciler@acme.test>", "sender is no plain mail address"),
        (
            'security = "none"',
            'security = "none"\nusername = "m"\npassword = "env:NOT_SET"',
            "the secret env:NOT_SET is missing",
        ),
        (
            'security = "none"',
            'security = "none"\nusername = "m"\npassword = "env:UMLAUT"',
            "username or password holds characters that no sign-in can carry",
        ),
        ("[notices.smtp]", 'addresses = { ciso = "a@b.test, c@d.test" }\n[notices.smtp]', "is no plain mail address"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_sent(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    settings = configured(tmp_path, LOCAL.format(port=1).replace(old, new))
    with pytest.raises(ConfigurationError, match=rf"reconciler.toml:\d+: .*{said}"):
        sent(settings)
    assert not (tmp_path / "reconciler.db").exists()


def test_nothing_is_sent_while_notices_are_not_enabled(tmp_path: Path) -> None:
    off = configured(tmp_path, LOCAL.format(port=1), enabled="false")
    assert sent(off) == Sent()
    with pytest.raises(ConfigurationError, match=r"reconciler.toml:\d+: notices.enabled is false"):
        refuse_disabled(off)
    with pytest.raises(ConfigurationError, match="there is neither"):
        refuse_disabled(configured(tmp_path, ""))
    with pytest.raises(ConfigurationError, match="there is neither"):
        sent(configured(tmp_path, ""))


def test_what_is_due_after_a_run_is_told_of_each_nonconformity(tmp_path: Path, plain: tuple[Post, Settings]) -> None:
    post, _ = plain
    named = configured(tmp_path, LOCAL.format(port=post.port).replace("[notices.smtp]", ADDRESSED))
    found = [nonconformity(), nonconformity(nc_id="NC-000002", owner_role="nobody", owner=None)]
    assert after_run(named, None, found, holders=HELD, at=NOW) == Sent(
        sent=1, unaddressed=("NC-000002: no address is known for role lead",)
    )
    assert [kept[1] for kept in post.desk.kept] == ["access@acme.test"]
