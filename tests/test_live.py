"""Several sources asked at once: one that breaks is named, and keeps no other from its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler import live, run
from reconciler.collect import Pull
from reconciler.errors import ConfigurationError, ReconcilerError
from reconciler.sdk.connector import AccountRef, Found, LiveAccount, PersonKeys, Presence
from reconciler.sdk.errors import Misbehaved, Unreachable
from reconciler.sdk.settings import SourceSettings
from reconciler.sdk.testing import MisbehavingSource

PERSON = PersonKeys(emails=("ada@acme.test",))
HERE = Found((AccountRef("1", "ada", ("email",)),))


class Asked(MisbehavingSource):
    """Answers as told, or raises it, and may fail to close."""

    def __init__(self, name: str, answer: Any, *, breaks: bool = False) -> None:
        super().__init__(name)
        self.answer, self.breaks = answer, breaks

    def _say(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def check(self) -> Any:
        return self._say()

    async def find(self, person: PersonKeys) -> Found:
        assert person == PERSON
        return self._say()  # type: ignore[no-any-return] # what the test gave

    async def reread(self, account_id: str) -> LiveAccount:
        assert account_id == "1"
        return self._say()  # type: ignore[no-any-return] # what the test gave

    async def close(self) -> None:
        await super().close()
        if self.breaks:
            raise RuntimeError("cannot close")


@pytest.fixture
def estate(monkeypatch: pytest.MonkeyPatch) -> Any:
    def made(*sources: Asked) -> Any:
        pulls = [Pull(source, "asked", SourceSettings(connector="asked")) for source in sources]

        def opened(_settings: object, names: Any = ()) -> list[Pull]:
            return [one for one in pulls if not names or one.source.name in names]

        monkeypatch.setattr(live, "open_sources", opened)
        monkeypatch.setattr(run, "open_sources", opened)
        return Path()

    return made


BROKEN = [
    (KeyError("userName"), Misbehaved, "a defect of the connector, not of the source: KeyError: 'userName'"),
    (ConfigurationError("the secret env:X is missing"), ConfigurationError, "env:X is missing"),
    (Unreachable("no answer"), Unreachable, "no answer"),
]


@pytest.mark.parametrize(("error", "kind", "said"), BROKEN)
def test_a_source_that_breaks_keeps_no_other_from_its_answer(
    estate: Any, error: Exception, kind: type[ReconcilerError], said: str
) -> None:
    sources = [Asked("broken", error, breaks=True), Asked("sound", HERE), Asked("last", HERE)]
    answers = live.find(estate(*sources), (), PERSON)
    assert answers["sound"] == answers["last"] == HERE
    broken = answers["broken"]
    assert isinstance(broken, kind)
    assert said in broken.message
    assert [source.closed for source in sources] == [1, 1, 1]


@pytest.mark.parametrize(("error", "kind", "said"), BROKEN)
def test_a_source_that_breaks_in_its_check_keeps_no_other_from_its_own(
    estate: Any, error: Exception, kind: type[ReconcilerError], said: str
) -> None:
    sources = [Asked("broken", error, breaks=True), Asked("sound", ())]
    answers = run.check_sources(estate(*sources))
    assert answers["sound"] == ()
    broken = answers["broken"]
    assert isinstance(broken, kind)
    assert said in broken.message
    assert [source.closed for source in sources] == [1, 1]


@pytest.mark.parametrize("error", [KeyError("userName"), Unreachable("no answer")])
def test_an_account_that_cannot_be_reread_is_not_evaluable_and_the_source_is_closed(
    estate: Any, error: Exception
) -> None:
    source = Asked("broken", error, breaks=True)
    found = live.reread(estate(source), "broken", "1")
    assert (found.account_id, found.presence, source.closed) == ("1", Presence.NOT_EVALUABLE, 1)
    assert str(error.args[0]) in found.reason


def test_a_reread_with_settings_that_cannot_be_used_is_a_matter_of_the_configuration(estate: Any) -> None:
    source = Asked("broken", ConfigurationError("the secret env:X is missing"))
    with pytest.raises(ConfigurationError, match="env:X"):
        live.reread(estate(source), "broken", "1")
    assert source.closed == 1


def test_an_answer_is_handed_on_although_the_source_does_not_close(estate: Any) -> None:
    answer = LiveAccount("1", Presence.PRESENT)
    assert live.reread(estate(Asked("sound", answer, breaks=True)), "sound", "1") == answer
