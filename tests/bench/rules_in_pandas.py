"""The same ten rules as somebody would write them in pandas: what each of them finds, with the reason in words.

Only what is found is kept: violations and what is not evaluable. What every rule needs is made once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd  # type: ignore[import-untyped]  # it ships no types, and stubs are not worth a benchmark

from reconciler import clock
from reconciler.engine import Rule
from reconciler.engine.built import READS
from reconciler.snapshot import Snapshot
from tests.bench.large_estate import AS_OF, declared

Frame = Any
"""A pandas DataFrame or Series: pandas brings no types."""

_KINDS = ["access_request", "role_change", "onboarding", "emergency_access"]
_THING = ["source", "entitlement_id"]
_HELD = ["source", "account_id", "entitlement_id"]
_GRANT = [*_HELD, "assignment"]
_CLOSED = ["disabled", "deleted"]


class Estate:
    """The tables as frames, and what several rules need of them."""

    def __init__(self, snapshot: Snapshot, rules: Sequence[Rule], built: Path) -> None:
        self.params = {rule.info.rule_id: rule.values(AS_OF) for rule in rules}
        wanted: dict[str, set[str]] = {}
        for rule in rules:
            for name, columns in rule.columns.items():
                wanted.setdefault(name, set()).update(columns)
        for made in (name for name in reversed(READS) if name in wanted):
            for name, columns in READS[made].items():
                wanted.setdefault(name, set()).update(columns)
        wanted["accounts"] |= {"attributes", "login"}
        wanted["special_accounts"] = {"source", "account_id", "kind"}
        wanted["grants"] |= {"principal_kind"}
        wanted["entitlements"] |= {"environment"}
        wanted["approvals"] |= {"environment", "system", "entitlement"}
        self.tables = {
            name: pd.concat([pd.read_parquet(path, columns=sorted(columns)) for path in files], ignore_index=True)
            for name, columns in wanted.items()
            if (files := snapshot.files(name))
        }
        with duckdb.connect(str(built), read_only=True) as connection:
            self.links = connection.execute("SELECT source, account_id, person_id FROM links").df()
            self.nesting = connection.execute("SELECT source, held_id, entitlement_id, path FROM nesting").df()
        self.specials = self._specials()
        self.grants = self._grants()
        self.covering = self._covering()
        self.scoped = self._scoped()

    def _specials(self) -> Frame:
        accounts, register = self.tables["accounts"], self.tables["special_accounts"]
        names = pd.concat(
            [
                accounts[["source", "account_id"]].assign(name=accounts["account_id"].str.strip().str.lower()),
                accounts[["source", "account_id"]].assign(name=accounts["login"].str.strip().str.lower()),
                accounts[["source", "account_id"]].assign(
                    name=accounts["attributes"].str.extract(r'"dn": "([^"]*)"')[0].str.strip().str.lower()
                ),
            ]
        ).dropna()
        named = register.assign(name=register["account_id"].str.strip().str.lower())[["source", "name", "kind"]]
        return names.merge(named, on=["source", "name"]).groupby(["source", "account_id"], as_index=False)["kind"].min()

    def _grants(self) -> Frame:
        grants = self.tables["grants"]
        held = grants[grants["principal_kind"] == "account"].rename(columns={"principal_id": "account_id"})
        held = held.merge(self.tables["entitlements"], on=_THING, how="left").merge(
            self.links, on=["source", "account_id"], how="left"
        )
        return held.merge(self.specials.rename(columns={"kind": "special"}), on=["source", "account_id"], how="left")

    def _covering(self) -> Frame:
        """Which approvals speak of what is held: by id, by name, by pattern, or perhaps where the name is unknown."""
        held = self.grants.dropna(subset=["person_id"])[[*_HELD, "person_id", "name", "environment"]].drop_duplicates(
            _HELD
        )
        held = held.assign(
            id_key=held["entitlement_id"].str.lower(), name_key=held["name"].str.strip().str.lower()
        ).drop(columns="name")
        asked = self.tables["approvals"][["approval_id", "person_id", "system", "entitlement", "environment"]]
        asked = asked.dropna(subset=["entitlement"]).rename(columns={"environment": "limited"})
        asked = asked.assign(wanted=asked["entitlement"].str.strip().str.lower()).drop(columns="entitlement")
        by_id = held.merge(asked, left_on=["person_id", "id_key"], right_on=["person_id", "wanted"])
        by_name = held.merge(asked, left_on=["person_id", "name_key"], right_on=["person_id", "wanted"])
        shaped = held.merge(asked[asked["wanted"].str.contains(r"[*?]")], on="person_id")
        start = shaped["wanted"].str.rstrip("*")
        fits = [
            one.startswith(begin) or (isinstance(two, str) and two.startswith(begin))
            for one, two, begin in zip(shaped["id_key"], shaped["name_key"], start, strict=True)
        ]
        sure = pd.concat([by_id, by_name, shaped[fits]]).drop_duplicates([*_HELD, "approval_id"])
        perhaps = held[held["name_key"].isna()].merge(asked, on="person_id")
        both = pd.concat([sure.assign(fit="sure"), perhaps.assign(fit="nameless")]).drop_duplicates(
            [*_HELD, "approval_id"]
        )
        both = both[(both["system"].isna() | (both["system"].str.lower() == both["source"].str.lower()))]
        both = both[both["limited"].isna() | both["environment"].isna() | (both["limited"] == both["environment"])]
        both.loc[(both["fit"] == "sure") & both["limited"].notna() & both["environment"].isna(), "fit"] = "placeless"
        return both[[*_HELD, "approval_id", "fit"]]

    def _scoped(self) -> Frame:
        """Which entitlements need no approval, or perhaps none, and what positions give."""
        things = self.grants[[*_THING, "name"]].drop_duplicates(_THING)
        name = things["name"].str.strip().str.lower()
        rows = declared()
        free = pd.Series(data=False, index=things.index)
        for entry in rows["approval_scope"]:
            free |= (name == entry.entitlement) & (things["source"] == entry.source)  # type: ignore[attr-defined]  # an entry of the scope
        things = things.assign(free=free, maybe_free=name.isna() & (things["source"] == "directory"))
        maps = [
            things[_THING].assign(department=entry.department, sure=name.str.startswith(entry.entitlement.rstrip("*")))  # type: ignore[attr-defined]  # an entry of a map
            for entry in rows["role_maps"]
        ]
        mapped = pd.concat([each[each["sure"].isna() | (each["sure"] == True)] for each in maps])  # noqa: E712  # unknown is neither
        self.mapped = mapped.groupby([*_THING, "department"], as_index=False)["sure"].max()
        self.mapped_at_all = mapped[_THING].drop_duplicates().assign(at_all=True)
        return things.drop(columns="name")

    def asked_for(self) -> Frame:
        """Return the grants that need an approval of their own, with what leaves that open."""
        found = self.grants
        found = found[
            ~found["assignment"].isin(["dynamic", "inherited"])
            & ~found["membership"].isin(["dynamic", "primary"])
            & found["special"].isna()
            & found["person_id"].notna()
        ]
        people = self.tables["people"][["person_id", "full_name", "department"]]
        found = found.merge(self.scoped, on=_THING, how="left").merge(people, on="person_id", how="left")
        found = found[~found["free"].fillna(value=False).astype(bool)]
        mapped = self.mapped.assign(is_mapped=True)
        found = found.merge(mapped, on=[*_THING, "department"], how="left")
        found = found.merge(self.mapped_at_all, on=_THING, how="left")
        found = found[~(found["sure"] == True)]  # noqa: E712  # unknown is neither
        open_ = (
            found["maybe_free"] | found["is_mapped"].notna() | (found["at_all"].notna() & found["department"].isna())
        )
        return found.assign(open=open_.astype(bool)).merge(
            self.tables["accounts"][["source", "account_id", "login"]], on=["source", "account_id"], how="left"
        )

    def decided(self, words: Sequence[str], *, begun: bool = True) -> Frame:
        """Return the approvals that may cover something, with their state at the instant judged."""
        found = self.tables["approvals"]
        found = found[found["kind"].isna() | found["kind"].isin(_KINDS)]
        found = found[found["decision"].isna() | found["decision"].str.strip().str.lower().isin(words)]
        found = found[found["decided_at"].isna() | (found["decided_at"] <= AS_OF)]
        if begun:
            found = found[found["valid_from"].isna() | (found["valid_from"] <= AS_OF)]
        over = found["valid_until"] < AS_OF
        known = found["decision"].notna() & found["kind"].notna()
        state = pd.Series("live", index=found.index)
        state[over & known] = "ended"
        state[~over & ~known] = "unsure"
        state[over & ~known] = "past"
        return found.assign(state=state, known=known)


def _holds(found: Frame) -> Frame:
    shown = found["name"].fillna(found["entitlement_id"])
    account = found["login"].fillna(found["account_id"])
    return found["full_name"] + " holds " + shown + " by account " + account + " (" + found["assignment"] + ")"


def _verdicts(found: Frame, unsure: Frame, reason: Frame) -> Frame:
    """Return what a rule keeps: the verdict and the reason of each row."""
    verdict = pd.Series("violation", index=found.index)
    verdict[unsure.astype(bool)] = "not_evaluable"
    return found.assign(verdict=verdict, reason=reason)


def _covered(estate: Estate, rule_id: str) -> Frame:
    both = estate.covering.merge(estate.decided(estate.params[rule_id]["approved_words"]), on="approval_id")  # type: ignore[arg-type]  # a list of words
    live, ended = both["state"] == "live", (both["fit"] != "nameless") & (both["state"] == "ended")
    both = both.assign(
        covered=(both["fit"] == "sure") & live,
        unsure=(both["state"] == "unsure") | ((both["fit"] != "sure") & live),
        ended_at=both["valid_until"].where(ended),
        ended_sure=ended & (both["fit"] != "placeless"),
    )
    kept = {"covered": "max", "unsure": "max", "ended_at": "max", "ended_sure": "max"}
    return estate.asked_for().merge(both.groupby(_HELD, as_index=False).agg(kept), on=_HELD, how="left")


def grant_without_approval(estate: Estate) -> Frame:
    """IG-APR-001."""
    found = _covered(estate, "IG-APR-001")
    found = found[~(found["covered"] == True) & found["ended_at"].isna()]  # noqa: E712  # unknown is neither
    return _verdicts(found, (found["unsure"] == True) | found["open"], _holds(found) + "; no approval covers it")  # noqa: E712


def approval_expired(estate: Estate) -> Frame:
    """IG-APR-002."""
    found = _covered(estate, "IG-APR-002")
    found = found[~(found["covered"] == True) & found["ended_at"].notna()]  # noqa: E712
    unsure = (found["unsure"] == True) | found["open"] | ~(found["ended_sure"] == True)  # noqa: E712
    return _verdicts(
        found, unsure, _holds(found) + "; its approval ended on " + found["ended_at"].dt.strftime("%Y-%m-%d")
    )


def granted_before_approval(estate: Estate) -> Frame:
    """IG-APR-003."""
    values = estate.params["IG-APR-003"]
    events = estate.tables["events"]
    events = events[
        events["action"].isin(["entitlement_granted", "entitlement_revoked"]) & (events["occurred_at"] <= AS_OF)
    ]
    done = events["outcome"].isna() | events["outcome"].str.strip().str.lower().isin(values["success_outcomes"])
    given = (
        events[done & (events["action"] == "entitlement_granted")]
        .groupby(["source", "target_id", "entitlement_id"], as_index=False)["occurred_at"]
        .max()
        .rename(columns={"target_id": "account_id", "occurred_at": "event_at"})
    )
    held = estate.asked_for().merge(given, on=_HELD, how="left")
    earlier = held["event_at"].notna() & (held["granted_at"].isna() | (held["event_at"] < held["granted_at"]))
    held = held.assign(since=held["granted_at"].where(~earlier, held["event_at"]))
    both = held[[*_GRANT, "since"]].merge(estate.covering, on=_HELD)
    both = both.merge(estate.decided(values["approved_words"], begun=False), on="approval_id")  # type: ignore[arg-type]  # a list of words
    sure = (both["fit"] == "sure") & both["known"]
    before, dated = (
        both["decided_at"] <= both["since"] + values["grace"],
        both["decided_at"].notna() & both["since"].notna(),
    )
    over = both["valid_until"] < both["since"]
    both = both.assign(
        covered=sure & before & ~over,
        unsure=(before | ~dated) & ~over & (~sure | both["decided_at"].isna()),
        unsure_later=~sure & ~before,
        later_at=both["decided_at"].where(sure & dated & ~before),
    )
    kept = {"covered": "max", "unsure": "max", "unsure_later": "max", "later_at": "min"}
    found = held.merge(both.groupby(_GRANT, as_index=False).agg(kept), on=_GRANT)
    nothing = found["since"].notna() & found["later_at"].isna() & ~found["unsure"] & ~found["unsure_later"]
    found = found[~found["covered"].astype(bool) & ~nothing.astype(bool)]
    unsure = found["since"].isna() | found["unsure"] | found["later_at"].isna() | found["open"]
    told = (
        found["since"].dt.strftime("%Y-%m-%d %H:%M") + ", decided on " + found["later_at"].dt.strftime("%Y-%m-%d %H:%M")
    )
    return _verdicts(found, unsure, _holds(found) + " since " + told)


def self_approval(estate: Estate) -> Frame:
    """IG-APR-005."""
    values = estate.params["IG-APR-005"]
    found = estate.tables["approvals"]
    said = found["decision"].isna() | found["decision"].str.strip().str.lower().isin(values["approved_words"])
    found = found[said & ~(found["kind"] == "termination")]
    roles = {"subject": "person_id", "requester": "requested_by", "approver": "approved_by", "executor": "executed_by"}
    same, unknown = pd.Series(data=False, index=found.index), pd.Series(data=False, index=found.index)
    for pair in values["kept_apart"]:  # type: ignore[attr-defined]  # a list of words
        left, right = (found[roles[role]] for role in pair.split("/"))
        same |= left == right
        unknown |= left.isna() | right.isna()
    who = found["approved_by"].fillna("nobody")
    kept = same | unknown
    found, same = found[kept], same[kept]
    unsure = ~same | found["kind"].isna() | found["decision"].isna()
    return _verdicts(found, unsure, who + " took part twice in approval " + found["approval_id"])


def rejected_but_granted(estate: Estate) -> Frame:
    """IG-APR-008."""
    values = estate.params["IG-APR-008"]
    found = estate.tables["approvals"]
    word = found["decision"].str.strip().str.lower()
    refused, allowed = word.isin(values["rejected_words"]), word.isna() | word.isin(values["approved_words"])
    found = found.assign(refused=refused, allowed=allowed)
    dated = found["decided_at"].isna() | (found["decided_at"] <= AS_OF)
    found = found[~(found["kind"] == "termination") & dated & (refused | allowed)]
    both = estate.covering.merge(found, on="approval_id")
    both["sure"] = (both["fit"] == "sure") & both["kind"].notna()
    no = both[both["refused"]]
    no = no.assign(sure_at=no["decided_at"].where(no["sure"]), undated=no["decided_at"].isna())
    kept = {"sure": "max", "sure_at": "max", "decided_at": "max", "undated": "max"}
    no = no.groupby(_HELD, as_index=False).agg(kept).rename(columns={"decided_at": "perhaps_at"})
    yes = both[both["allowed"]]
    yes = yes.assign(yes_sure=yes["sure"] & yes["decision"].notna())[[*_HELD, "decided_at", "yes_sure"]]
    pair = no.merge(yes, on=_HELD, how="left", indicator=True)
    there, known = pair["_merge"] == "both", pair["yes_sure"] == True  # noqa: E712  # unknown is neither
    later = pair["decided_at"] > pair["sure_at"]
    pair = pair.assign(
        lifted=known & (pair["decided_at"] > pair["perhaps_at"]) & ~pair["undated"],
        perhaps=there
        & (
            pair["sure_at"].isna()
            | pair["decided_at"].isna()
            | (pair["decided_at"] == pair["sure_at"])
            | (later & ~known)
        ),
        lifted_sure=known & later,
    )
    kept = {"sure": "max", "sure_at": "max", "lifted": "max", "perhaps": "max", "lifted_sure": "max"}
    pair = pair.groupby(_HELD, as_index=False).agg(kept)
    held = estate.grants
    held = held[
        ~held["assignment"].isin(["dynamic", "inherited"])
        & ~held["membership"].isin(["dynamic", "primary"])
        & held["special"].isna()
        & held["person_id"].notna()
    ]
    found = held.merge(pair[~pair["lifted"]], on=_HELD)
    found = found.merge(estate.tables["people"][["person_id", "full_name"]], on="person_id", how="left")
    found = found.merge(
        estate.tables["accounts"][["source", "account_id", "login"]], on=["source", "account_id"], how="left"
    )
    unsure = ~found["sure"] | found["perhaps"] | found["lifted_sure"]
    return _verdicts(found, unsure, _holds(found) + "; refused on " + found["sure_at"].dt.strftime("%Y-%m-%d"))


def standing_privilege(estate: Estate) -> Frame:
    """IG-PRV-001."""
    found = estate.grants
    found = found[
        ~(found["privileged"] == False)  # noqa: E712  # unknown is neither
        & ~(found["special"] == "break_glass")
        & found["expires_at"].isna()
        & ~found["assignment"].isin(["eligible", "just_in_time"])
    ]
    accounts = estate.tables["accounts"][["source", "account_id", "login", "status", "can_sign_in"]]
    found = found.merge(accounts, on=["source", "account_id"], how="left")
    found = found[~(found["status"].isin(_CLOSED) & ~(found["can_sign_in"] == True))]  # noqa: E712
    reason = (
        "account "
        + found["login"].fillna(found["account_id"])
        + " holds "
        + found["name"].fillna(found["entitlement_id"])
    )
    return _verdicts(found, found["privileged"].isna(), reason + " (" + found["assignment"] + ") without an end")


def privileged_without_mfa(estate: Estate) -> Frame:
    """IG-PRV-002."""
    powers = estate.tables["entitlements"][[*_THING, "privileged"]]
    powers = powers[~(powers["privileged"] == False)]  # noqa: E712  # unknown is neither
    giving = powers.merge(estate.nesting, on=_THING).rename(columns={"entitlement_id": "given"})
    held = estate.grants[_HELD].merge(giving, left_on=_THING, right_on=["source", "held_id"])
    held = held.assign(sure=held["privileged"] == True)  # noqa: E712
    reached = held.groupby(["source", "account_id"], as_index=False).agg({"sure": "max", "path": "min"})
    found = estate.tables["accounts"].merge(reached, on=["source", "account_id"])
    usable = found["can_sign_in"].where(found["can_sign_in"].notna(), found["status"].map(_usable))
    found = found.assign(usable=usable).merge(
        estate.specials.rename(columns={"kind": "special"}), on=["source", "account_id"], how="left"
    )
    machine = found["special"].isin(["service", "agent"]) | found["kind"].isin(["service", "agent"])
    found = found[~machine & ~(found["usable"] == False) & ~(found["mfa_enrolled"] == True)]  # noqa: E712
    unsure = ~found["sure"] | found["mfa_enrolled"].isna() | found["usable"].isna()
    reason = "account " + found["login"].fillna(found["account_id"]) + " reaches " + found["path"]
    return _verdicts(found, unsure, reason + "; no second factor is enrolled")


def _usable(status: object) -> bool | None:
    return True if status == "enabled" else False if status in _CLOSED else None


def revoked_in_review_still_held(estate: Estate) -> Frame:
    """IG-REC-002."""
    after = estate.params["IG-REC-002"]["after"]
    found = estate.tables["reviews"]
    found = found[found["decision"].isna() | (found["decision"] == "revoke")]
    found = found[~(found["decided_at"] + after > AS_OF)]
    held = estate.grants.merge(found[_HELD].drop_duplicates(), on=_HELD)
    held = held.groupby(_HELD, as_index=False).agg(
        {"granted_at": ["size", "count", "min"], "assignment": "min", "name": "first", "person_id": "first"}
    )
    held.columns = [*_HELD, "grants", "dated", "first_at", "assignment", "name", "person_id"]
    found = found.merge(held, on=_HELD)
    found = found[~((found["dated"] == found["grants"]) & (found["first_at"] > found["decided_at"]))]
    found = found.merge(estate.tables["people"][["person_id", "full_name"]], on="person_id", how="left")
    found["full_name"] = found["full_name"].fillna("nobody known")
    found = found.merge(
        estate.tables["accounts"][["source", "account_id", "login"]], on=["source", "account_id"], how="left"
    )
    return _verdicts(
        found, found["decision"].isna() | found["decided_at"].isna(), _holds(found) + "; " + found["review_id"]
    )


def role_change_without_record(estate: Estate) -> Frame:
    """IG-MOV-002."""
    values = estate.params["IG-MOV-002"]
    events = estate.tables["events"]
    events = events[events["action"] == "role_changed"]
    events = events[events["outcome"].isna() | events["outcome"].str.strip().str.lower().isin(values["success_words"])]
    events = events.rename(columns={"target_id": "account_id"})
    events = events.merge(estate.links, on=["source", "account_id"], how="left")
    events = events.merge(estate.specials.rename(columns={"kind": "special"}), on=["source", "account_id"], how="left")
    events["ref"] = events["approval_ref"].str.strip().str.lower()
    approvals = estate.tables["approvals"]
    word = approvals["decision"].str.strip().str.lower()
    approvals = approvals.assign(yes=word.isin(values["approved_words"]))
    keys = pd.concat(
        [approvals.assign(ref=approvals[name].str.strip().str.lower()) for name in ("approval_id", "change_ref")]
    )
    keys = keys.drop_duplicates(["approval_id", "ref"])[["ref", "person_id", "yes", "decision"]]
    named = (
        events[["source", "event_id", "ref", "person_id"]]
        .dropna(subset=["ref"])
        .merge(keys, on="ref", suffixes=("", "_other"))
    )
    same = named["person_id"].isna() | (named["person_id"] == named["person_id_other"])
    named = named.assign(by_ref=named["yes"] & same, undecided=named["decision"].isna() & same)
    named = named.groupby(["source", "event_id"], as_index=False).agg({"by_ref": "max", "undecided": "max"})
    records = approvals[
        (approvals["kind"].isna() | (approvals["kind"] == "role_change")) & (approvals["yes"] | word.isna())
    ]
    near = events[["source", "event_id", "occurred_at", "person_id"]].merge(
        records.drop(columns=["source"], errors="ignore"), on="person_id"
    )
    decided, begins = near["decided_at"].fillna(near["valid_from"]), near["valid_from"].fillna(near["decided_at"])
    near = near[
        (near["system"].isna() | (near["system"].str.lower() == near["source"]))
        & ~(decided > near["occurred_at"] + values["after"])
        & ~(begins < near["occurred_at"] - values["before"])
        & ~(near["valid_until"] < near["occurred_at"])
    ]
    near = near.assign(by_time=near["kind"].notna() & near["decision"].notna() & decided[near.index].notna())
    near = near.groupby(["source", "event_id"], as_index=False)["by_time"].max()
    found = events.merge(named, on=["source", "event_id"], how="left").merge(
        near, on=["source", "event_id"], how="left"
    )
    recorded = (found["by_ref"] == True) | (found["by_time"] == True)  # noqa: E712  # unknown is neither
    found = found[~recorded]
    young = found["undecided"].ne(other=True) & found["person_id"].notna() & found["by_time"].isna()
    young &= found["occurred_at"] + values["after"] > AS_OF
    special = found["undecided"].ne(other=True) & found["person_id"].isna() & found["special"].notna()
    found = found[~young & ~special]
    unsure = (
        found["undecided"].eq(other=True)
        | found["person_id"].isna()
        | found["by_time"].notna()
        | found["outcome"].isna()
    )
    reason = (
        "event "
        + found["event_id"]
        + " changed the role of "
        + found["account_id"]
        + "; no approved record tells of it"
    )
    return _verdicts(found, unsure, reason)


def out_of_scope(estate: Estate) -> Frame:
    """IG-SUP-004."""
    assignments = estate.params["IG-SUP-004"]["assignments"]
    contracts = estate.tables["contracts"][["contract_id", "scope"]].assign(known=True)
    people = estate.tables["people"][["person_id", "full_name", "kind", "supplier_id", "contract_id"]]
    people = people.merge(contracts, on="contract_id", how="left")
    outside = people["supplier_id"].notna() | people["kind"].isin(["contractor", "supplier", "external"])
    people = people.assign(outside=outside)[outside | people["kind"].isna()]
    people = people[people["contract_id"].notna() | people["supplier_id"].notna()].rename(
        columns={"kind": "person_kind"}
    )
    held = estate.grants
    held = held[held["assignment"].isin(assignments) & ~(held["membership"] == "primary") & held["special"].isna()]
    if "dynamic" not in assignments:  # type: ignore[operator]  # a list of words
        held = held[~(held["membership"] == "dynamic")]
    found = held.merge(people, on="person_id")
    fits = [
        isinstance(name, str)
        and scope is not None
        and any(name.strip().lower().startswith(each.rstrip("*")) for each in scope)
        for name, scope in zip(found["name"], found["scope"].where(found["scope"].notna(), None), strict=True)
    ]
    found = found[[not fit for fit in fits]]
    found = found.merge(
        estate.tables["accounts"][["source", "account_id", "login"]], on=["source", "account_id"], how="left"
    )
    unsure = found["known"].isna() | found["scope"].isna() | ~found["outside"] | found["name"].isna()
    return _verdicts(
        found, unsure, _holds(found) + "; contract " + found["contract_id"].fillna("unknown") + " does not cover it"
    )


RULES: Mapping[str, Callable[[Estate], Frame]] = {
    "IG-APR-001": grant_without_approval,
    "IG-APR-002": approval_expired,
    "IG-APR-003": granted_before_approval,
    "IG-APR-005": self_approval,
    "IG-APR-008": rejected_but_granted,
    "IG-MOV-002": role_change_without_record,
    "IG-PRV-001": standing_privilege,
    "IG-PRV-002": privileged_without_mfa,
    "IG-REC-002": revoked_in_review_still_held,
    "IG-SUP-004": out_of_scope,
}


def run(snapshot: Snapshot, rules: Sequence[Rule], built: Path) -> dict[str, Any]:
    """Do the ten rules; return the seconds of each, and how many rows have which verdict."""
    estate = Estate(snapshot, rules, built)
    seconds: dict[str, float] = {}
    rows: dict[str, dict[str, int]] = {}
    for rule_id, judge in RULES.items():
        began = clock.monotonic()
        found = judge(estate)
        seconds[rule_id] = clock.monotonic() - began
        rows[rule_id] = {verdict: int(n) for verdict, n in found["verdict"].value_counts().items()}
    return {"rules": seconds, "rows": rows}
