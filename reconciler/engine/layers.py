"""The SQL of assurance, step by step, over the tables of a locked workspace. What each verdict means: ``assurance.py``.

The steps run in order; each leaves a table for the next. ``places`` (source, grants_blocked, revocations_blocked,
events_unread) is there before: why what a source holds may not be judged, and why its events may not; null: it may.
"""

from __future__ import annotations

COLUMNS = (
    "kind",
    "source",
    "account_id",
    "entitlement_id",
    "assignment",
    "person_id",
    "decision_id",
    "decided_at",
    "event_id",
    "event_at",
    "joined_by",
    "policy",
    "workflow",
    "enforcement",
    "verdict",
    "reason",
)
"""Of a row of assurance, in order."""

_LIKE = r"""replace(replace(replace(replace(replace({text}, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_')"""

_NAMED = """
CREATE TABLE named AS
SELECT source, event_id, lower(trim(approval_id)) AS ref FROM cited
UNION
SELECT e.source, e.event_id, lower(trim(r.review_id))
FROM events e
JOIN reviews r ON lower(trim(r.review_id)) = lower(trim(e.approval_ref))
"""
"""Which decisions each event names: approvals by their own number or their change record's, reviews by theirs."""

_DONE = """
CREATE TABLE done AS
SELECT e.source, e.event_id, e.action, e.occurred_at AS happened, e.target_id AS account_id, e.entitlement_id, n.refs
FROM events e
LEFT JOIN (SELECT source, event_id, list(ref) AS refs FROM named GROUP BY source, event_id) n
  ON n.source = e.source AND n.event_id = e.event_id
WHERE e.action IN ('entitlement_granted', 'privilege_elevated', 'entitlement_revoked', 'account_disabled',
                   'account_deleted')
  AND (e.occurred_at IS NULL OR e.occurred_at <= $as_of)
  AND (e.outcome IS NULL
       OR list_contains(CASE WHEN e.action IN ('entitlement_granted', 'privilege_elevated') THEN $done_words
                             ELSE $ended_words END, lower(trim(e.outcome))))
"""
"""What was done. ``refs`` null: it names no decision that is on record."""

_APPROVED = """
CREATE TABLE approved AS
SELECT approval_id, lower(trim(approval_id)) AS ref, person_id, lower(trim(system)) AS system, decided_at,
       greatest(decided_at, valid_from) + $window AS until, lower(trim(entitlement)) AS wanted,
       CASE
         WHEN valid_until < $as_of THEN 'ended'
         WHEN decision IS NULL OR kind IS NULL THEN 'unsure'
         ELSE 'live'
       END AS state, valid_until
FROM approvals
WHERE entitlement IS NOT NULL
  AND (kind IS NULL OR kind IN ('access_request', 'role_change', 'onboarding', 'emergency_access'))
  AND (decision IS NULL OR list_contains($approved_words, lower(trim(decision))))
  AND (valid_from IS NULL OR valid_from <= $as_of) AND (decided_at IS NULL OR decided_at <= $as_of)
"""

_LAST_GRANT = """
CREATE TABLE last_grant AS
SELECT source, account_id, entitlement_id, max(happened) AS happened,
       arg_max(event_id, (coalesce(happened, TIMESTAMPTZ '0001-01-01'), event_id)) AS event_id,
       arg_max(coalesce(refs, []), (coalesce(happened, TIMESTAMPTZ '0001-01-01'), event_id)) AS refs
FROM done
WHERE action IN ('entitlement_granted', 'privilege_elevated') AND account_id IS NOT NULL AND entitlement_id IS NOT NULL
GROUP BY source, account_id, entitlement_id
"""

# How an approval and the last event of a grant fit together; of several approvals the lowest number decides:
# 0 joined in order; 1 joined, when is unknown; 2 no event; 3 perhaps the approval; 4 not joined; 5 ended before.
_COVERED = """
CREATE TABLE covered AS
SELECT c.source, c.account_id, c.entitlement_id,
       min(concat(
         CASE
           WHEN a.state = 'ended' THEN 5
           WHEN a.state = 'unsure' OR (c.fit <> 'sure' AND NOT coalesce(list_contains(g.refs, a.ref), false)) THEN 3
           WHEN g.event_id IS NULL THEN 2
           WHEN len(g.refs) > 0 AND NOT list_contains(g.refs, a.ref) THEN 4
           WHEN g.happened IS NULL OR a.decided_at IS NULL THEN 1
           WHEN g.happened < a.decided_at THEN 4
           WHEN list_contains(g.refs, a.ref) OR g.happened <= a.until THEN 0
           ELSE 4
         END, a.approval_id)) AS best
FROM covering c
JOIN approved a ON a.approval_id = c.approval_id
LEFT JOIN last_grant g ON g.source = c.source AND g.account_id = c.account_id AND g.entitlement_id = c.entitlement_id
GROUP BY c.source, c.account_id, c.entitlement_id
"""

_HELD = """
INSERT INTO assurance
WITH told AS (
  SELECT g.source, g.principal_id AS account_id, g.entitlement_id, g.assignment, g.person_id,
         v.event_id, v.happened, v.refs, b.grants_blocked, b.events_unread,
         CAST(c.best[1] AS INTEGER) AS rank, substr(c.best, 2) AS approval_id, g.given,
         CASE g.doubt
           WHEN 'scope' THEN 'whether the approval scope asks for one depends on its name, which is unknown'
           WHEN 'position' THEN 'whether a role map gives it depends on its name or the department, which is unknown'
         END AS doubt
  FROM approvable g
  JOIN places b ON b.source = g.source
  LEFT JOIN last_grant v ON v.source = g.source AND v.account_id = g.principal_id
    AND v.entitlement_id = g.entitlement_id
  LEFT JOIN covered c ON c.source = g.source AND c.account_id = g.principal_id AND c.entitlement_id = g.entitlement_id
  WHERE g.principal_kind = 'account'
),
judged AS (
  SELECT t.*, a.decided_at, a.until, a.valid_until, a.ref AS approval_ref,
         CASE
           WHEN grants_blocked IS NOT NULL THEN 'not_evaluable'
           WHEN given IS NOT NULL OR rank = 0 THEN 'proven'
           WHEN rank <= 3 OR doubt IS NOT NULL OR (t.person_id IS NULL) THEN 'not_evaluable'
           ELSE 'executed_without_approval'
         END AS verdict
  FROM told t
  LEFT JOIN approved a ON a.approval_id = t.approval_id
)
SELECT 'grant', source, account_id, entitlement_id, assignment, person_id, approval_id, decided_at, event_id, happened,
       CASE WHEN rank <= 1 AND list_contains(refs, approval_ref) THEN 'reference' WHEN rank = 0 THEN 'window' END,
       CASE WHEN grants_blocked IS NOT NULL THEN 'not_evaluable' WHEN given IS NOT NULL THEN 'not_required'
            WHEN doubt IS NOT NULL THEN 'not_evaluable' ELSE 'required' END,
       CASE WHEN grants_blocked IS NOT NULL THEN 'not_evaluable' WHEN given IS NOT NULL THEN 'not_required'
            WHEN rank <= 2 THEN 'proven' WHEN rank = 3 OR person_id IS NULL THEN 'not_evaluable' ELSE 'missing' END,
       CASE WHEN grants_blocked IS NOT NULL OR events_unread IS NOT NULL THEN 'not_evaluable'
            WHEN event_id IS NULL THEN 'held' WHEN happened IS NULL THEN 'not_evaluable' ELSE 'proven' END,
       verdict,
       CASE
         WHEN grants_blocked IS NOT NULL THEN grants_blocked
         WHEN given IS NOT NULL THEN concat('no approval is needed: ', given)
         WHEN rank = 0 THEN concat('approval ', approval_id, ', event ', event_id)
         WHEN rank = 1
           THEN concat('when approval ', approval_id, ' was decided, or event ', event_id, ' was, is unknown')
         WHEN rank = 2 THEN concat('approval ', approval_id, ' covers it; ',
           coalesce(events_unread, 'no event that was read shows it granted'))
         WHEN rank = 3 THEN concat('whether approval ', approval_id, ' covers it is unknown')
         WHEN doubt IS NOT NULL THEN doubt
         WHEN person_id IS NULL THEN 'its account is linked to nobody, so that no approval can be looked for'
         WHEN rank = 4 AND len(refs) > 0 AND NOT list_contains(refs, approval_ref)
           THEN concat('event ', event_id, ' names another decision than approval ', approval_id)
         WHEN rank = 4 THEN concat('event ', event_id, ' of ', strftime(happened, '%Y-%m-%d %H:%M:%S'),
           CASE WHEN happened < decided_at THEN ' came before'
             ELSE ' is outside the window of' END, ' approval ', approval_id,
           ', decided on ', strftime(decided_at, '%Y-%m-%d %H:%M:%S'))
         WHEN rank = 5 THEN concat('approval ', approval_id, ' ended on ', strftime(valid_until, '%Y-%m-%d'))
         ELSE 'no approval covers it'
       END
FROM judged
"""

_PERHAPS = """
CREATE TABLE perhaps AS
SELECT DISTINCT source, unnest(candidates) AS person_id FROM links WHERE person_id IS NULL
"""

# Approved, and nothing of it is held: unless an event shows that it was granted, and it is gone since.
_ASKED = f"""
INSERT INTO assurance
WITH asked AS (
  SELECT a.*, {_LIKE.format(text="wanted")} AS pattern
  FROM approved a
  WHERE a.state = 'live'
    AND NOT EXISTS (SELECT 1 FROM covering c WHERE c.approval_id = a.approval_id AND c.fit = 'sure')
    AND NOT EXISTS (
      SELECT 1
      FROM named n
      JOIN done d ON d.source = n.source AND d.event_id = n.event_id
      WHERE n.ref = a.ref AND d.action IN ('entitlement_granted', 'privilege_elevated'))
),
gone AS (
  SELECT DISTINCT a.approval_id
  FROM asked a
  JOIN links l ON l.person_id = a.person_id AND (a.system IS NULL OR a.system = lower(l.source))
  JOIN done d ON d.source = l.source AND d.account_id = l.account_id
    AND d.action IN ('entitlement_granted', 'privilege_elevated') AND d.refs IS NULL
  LEFT JOIN entitlements e ON e.source = d.source AND e.entitlement_id = d.entitlement_id
  WHERE d.happened >= a.decided_at AND d.happened <= a.until
    AND (lower(d.entitlement_id) LIKE a.pattern ESCAPE '\\'
      OR coalesce(lower(trim(e.name)) LIKE a.pattern ESCAPE '\\', false))
),
placed AS (
  SELECT a.approval_id, CASE WHEN a.system IS NOT NULL THEN min(b.source) END AS source, count(b.source) AS places,
         min(b.grants_blocked) AS grants_blocked, min(b.events_unread) AS events_unread,
         count(m.person_id) AS perhaps
  FROM asked a
  LEFT JOIN places b ON a.system IS NULL OR a.system = lower(b.source)
  LEFT JOIN perhaps m ON m.source = b.source AND m.person_id = a.person_id
  GROUP BY a.approval_id, a.system
),
told AS (
  SELECT p.source, a.approval_id, a.person_id, a.decided_at, a.wanted, p.grants_blocked, p.events_unread,
         CASE
           WHEN p.places = 0 THEN concat(coalesce(a.system, 'none'), ' is no source that was read')
           WHEN p.grants_blocked IS NOT NULL THEN p.grants_blocked
           WHEN a.person_id IS NULL THEN 'whom it concerns is unknown'
           WHEN NOT EXISTS (SELECT 1 FROM people o WHERE o.person_id = a.person_id)
             THEN concat(a.person_id, ' is not among the people')
           WHEN a.decided_at IS NULL THEN 'when it was decided is unknown'
           WHEN EXISTS (SELECT 1 FROM covering c WHERE c.approval_id = a.approval_id)
             THEN 'whether what the person holds is what was approved is unknown'
           WHEN p.perhaps > 0 THEN 'an account that may be the person''s is linked to nobody'
           WHEN a.until > $as_of THEN concat('it may be carried out until ', strftime(a.until, '%Y-%m-%d %H:%M'))
           WHEN p.events_unread IS NOT NULL
             THEN concat('it is not held; whether it was granted and taken away since is unknown: ', p.events_unread)
         END AS doubt
  FROM asked a
  JOIN placed p ON p.approval_id = a.approval_id
  WHERE NOT EXISTS (SELECT 1 FROM gone g WHERE g.approval_id = a.approval_id)
)
SELECT 'grant', source, NULL, wanted, NULL, person_id, approval_id, decided_at, NULL, NULL, NULL,
       'required', 'proven', CASE WHEN doubt IS NULL THEN 'missing' ELSE 'not_evaluable' END,
       CASE WHEN doubt IS NULL THEN 'approved_not_executed' ELSE 'not_evaluable' END,
       CASE WHEN doubt IS NOT NULL THEN concat('approval ', approval_id, ': ', doubt)
            ELSE concat('approval ', approval_id, ' of ', strftime(decided_at, '%Y-%m-%d'),
                        ': no account of the person holds it, and no event shows it granted') END
FROM told
"""  # noqa: S608  # all of it is our own text

_ORDERS = f"""
CREATE TABLE orders AS
WITH ordered AS (
  SELECT approval_id AS order_id, lower(trim(approval_id)) AS ref, person_id, lower(trim(system)) AS system,
         {_LIKE.format(text="lower(trim(entitlement))")} AS pattern, decided_at,
         greatest(decided_at, valid_from) + $window AS until, decision IS NULL AS unsure
  FROM approvals
  WHERE (decided_at IS NULL OR decided_at <= $as_of) AND (valid_from IS NULL OR valid_from <= $as_of)
    AND ((kind = 'termination' AND (decision IS NULL OR list_contains($ordered_words, lower(trim(decision)))))
         OR list_contains($revoke_words, lower(trim(decision))))
),
meant AS (
  SELECT o.order_id, l.source, l.account_id, NULL AS entitlement_id
  FROM ordered o
  JOIN links l ON l.person_id = o.person_id AND (o.system IS NULL OR o.system = lower(l.source))
  WHERE o.pattern IS NULL
  UNION
  SELECT o.order_id, l.source, l.account_id, e.entitlement_id
  FROM ordered o
  JOIN links l ON l.person_id = o.person_id AND (o.system IS NULL OR o.system = lower(l.source))
  JOIN entitlements e ON e.source = l.source
  WHERE lower(e.entitlement_id) LIKE o.pattern ESCAPE '\\'
    OR coalesce(lower(trim(e.name)) LIKE o.pattern ESCAPE '\\', false)
  UNION
  SELECT o.order_id, d.source, d.account_id, CASE WHEN o.pattern IS NOT NULL THEN d.entitlement_id END
  FROM ordered o
  JOIN named n ON n.ref = o.ref
  JOIN done d ON d.source = n.source AND d.event_id = n.event_id
    AND d.action IN ('entitlement_revoked', 'account_disabled', 'account_deleted')
  WHERE d.account_id IS NOT NULL
    AND CASE WHEN o.pattern IS NULL THEN d.action <> 'entitlement_revoked' ELSE d.entitlement_id IS NOT NULL END
)
SELECT o.order_id, o.ref, o.person_id, m.source, m.account_id, m.entitlement_id, o.decided_at, o.until, o.unsure
FROM ordered o LEFT JOIN meant m ON m.order_id = o.order_id
UNION ALL
SELECT r.review_id, lower(trim(r.review_id)), l.person_id, r.source, r.account_id, r.entitlement_id, r.decided_at,
       r.decided_at + $window, false
FROM reviews r
LEFT JOIN links l ON l.source = r.source AND l.account_id = r.account_id
WHERE r.decision = 'revoke' AND (r.decided_at IS NULL OR r.decided_at <= $as_of)
"""  # noqa: S608  # all of it is our own text

# As for grants, the lowest decides: 0 joined in order; 1 joined, when is unknown; 2 joined, but before the decision.
_ENDED = """
CREATE TABLE ended AS
SELECT o.order_id, o.source, o.account_id, o.entitlement_id, d.event_id, d.happened,
       list_contains(d.refs, o.ref) AS by_ref,
       CASE WHEN d.happened IS NULL OR o.decided_at IS NULL THEN 1 WHEN d.happened < o.decided_at THEN 2 ELSE 0 END
         AS rank
FROM orders o
JOIN done d ON d.source = o.source AND d.account_id = o.account_id
WHERE (CASE WHEN o.entitlement_id IS NULL THEN d.action IN ('account_disabled', 'account_deleted')
            ELSE (d.action = 'entitlement_revoked' AND (d.entitlement_id = o.entitlement_id
                    OR (d.entitlement_id IS NULL AND coalesce(list_contains(d.refs, o.ref), false))))
              OR d.action = 'account_deleted' END)
  AND (list_contains(d.refs, o.ref)
    OR (d.refs IS NULL AND (d.happened IS NULL OR o.decided_at IS NULL
                            OR (d.happened >= o.decided_at AND d.happened <= o.until))))
"""

_REVOKED = """
INSERT INTO assurance
WITH joined AS (
  SELECT order_id, source, account_id, entitlement_id, min(rank) AS rank, max(by_ref) AS by_ref,
         arg_min(event_id, (rank, coalesce(happened, TIMESTAMPTZ '0001-01-01'), event_id)) AS event_id,
         arg_min(coalesce(happened, TIMESTAMPTZ '0001-01-01'),
                 (rank, coalesce(happened, TIMESTAMPTZ '0001-01-01'), event_id)) AS happened
  FROM ended
  GROUP BY order_id, source, account_id, entitlement_id
),
held AS (SELECT DISTINCT source, principal_id AS account_id, entitlement_id
  FROM grants WHERE principal_kind = 'account'),
again AS (
  SELECT DISTINCT o.order_id, o.source, o.account_id, o.entitlement_id
  FROM orders o
  JOIN approvals a ON o.entitlement_id IS NULL AND a.person_id = o.person_id AND a.kind = 'onboarding'
  WHERE a.decided_at > o.decided_at AND a.decided_at <= $as_of
    AND list_contains($approved_words, lower(trim(a.decision)))
  UNION
  SELECT DISTINCT o.order_id, o.source, o.account_id, o.entitlement_id
  FROM orders o
  JOIN covering c ON c.source = o.source AND c.account_id = o.account_id AND c.entitlement_id = o.entitlement_id
  JOIN approved a ON a.approval_id = c.approval_id
  WHERE a.state = 'live' AND a.decided_at > o.decided_at AND c.fit = 'sure'
),
told AS (
  SELECT o.*, j.rank, j.event_id, CASE WHEN j.happened > TIMESTAMPTZ '0001-01-01' THEN j.happened END
    AS happened, j.by_ref,
         b.revocations_blocked, b.events_unread, b.source IS NULL AS unread, n.order_id IS NOT NULL AS again,
         CASE
           WHEN o.entitlement_id IS NOT NULL THEN CASE WHEN h.account_id IS NULL THEN 'ended' ELSE 'stands' END
           WHEN a.account_id IS NULL OR (a.status IN ('disabled', 'deleted') AND a.can_sign_in IS NOT TRUE) THEN 'ended'
           WHEN a.can_sign_in OR (a.can_sign_in IS NULL AND a.status = 'enabled')
             OR a.status IN ('suspended', 'locked') THEN 'stands'
           WHEN NOT a.can_sign_in THEN 'ended'
         END AS standing
  FROM orders o
  LEFT JOIN places b ON b.source = o.source
  LEFT JOIN joined j ON j.order_id = o.order_id AND j.source = o.source AND j.account_id = o.account_id
    AND j.entitlement_id IS NOT DISTINCT FROM o.entitlement_id
  LEFT JOIN accounts a ON a.source = o.source AND a.account_id = o.account_id
  LEFT JOIN held h ON h.source = o.source AND h.account_id = o.account_id AND h.entitlement_id = o.entitlement_id
  LEFT JOIN again n ON n.order_id = o.order_id AND n.source = o.source AND n.account_id = o.account_id
    AND n.entitlement_id IS NOT DISTINCT FROM o.entitlement_id
),
judged AS (
  SELECT *,
         CASE
           WHEN source IS NULL
             THEN 'nothing that it could mean is known: no account of the person, or no such entitlement'
           WHEN unread THEN concat(source, ' is no source that was read')
           WHEN revocations_blocked IS NOT NULL THEN revocations_blocked
           WHEN unsure THEN 'what was decided is unknown'
           WHEN decided_at IS NULL THEN 'when it was decided is unknown'
           WHEN standing IS NULL AND NOT again THEN 'whether the account can still be used is unknown'
           WHEN rank = 1 THEN concat('when event ', event_id, ' was is unknown')
           WHEN (rank IS NULL OR (standing = 'stands' AND NOT again)) AND until > $as_of
             THEN concat('it may be carried out until ', strftime(until, '%Y-%m-%d %H:%M'))
           WHEN rank IS NULL AND (standing = 'ended' OR again) THEN events_unread
         END AS doubt
  FROM told
)
SELECT 'revocation', source, account_id, entitlement_id, NULL, person_id, order_id, decided_at, event_id, happened,
       CASE WHEN rank IS NULL THEN NULL WHEN by_ref THEN 'reference' ELSE 'window' END,
       'required',
       CASE WHEN unsure OR decided_at IS NULL OR source IS NULL OR unread OR revocations_blocked IS NOT NULL
              THEN 'not_evaluable' WHEN rank = 2 THEN 'missing' ELSE 'proven' END,
       CASE WHEN doubt IS NOT NULL THEN 'not_evaluable' WHEN standing = 'stands' AND NOT again OR rank IS NULL
         THEN 'missing'
            ELSE 'proven' END,
       CASE WHEN doubt IS NOT NULL THEN 'not_evaluable'
            WHEN standing = 'stands' AND NOT again OR rank IS NULL THEN 'revocation_unproven'
            WHEN rank = 2 THEN 'executed_without_approval' ELSE 'proven' END,
       concat('decision ', order_id, ': ', CASE
         WHEN doubt IS NOT NULL THEN doubt
         WHEN standing = 'stands' AND NOT again THEN concat(
           CASE WHEN entitlement_id IS NULL THEN 'the account is not closed' ELSE 'the entitlement is still held' END,
           CASE WHEN event_id IS NULL THEN '' ELSE concat(', though event ', event_id, ' says so') END)
         WHEN rank IS NULL THEN concat('no event from ', strftime(decided_at, '%Y-%m-%d %H:%M:%S'), ' to ',
           strftime(until, '%Y-%m-%d %H:%M:%S'), ', nor one that names it, shows it carried out')
         WHEN rank = 2
           THEN concat('event ', event_id, ' of ', strftime(happened, '%Y-%m-%d %H:%M:%S'), ' came before it')
         ELSE concat('event ', event_id)
       END)
FROM judged
"""

_LONE = """
INSERT INTO assurance
WITH told AS (
  SELECT d.source, d.account_id, d.entitlement_id, d.event_id, d.happened, d.action, l.person_id, b.revocations_blocked,
         CASE
           WHEN e.membership = 'dynamic' AND d.action = 'entitlement_revoked' THEN 'the entitlement follows from a rule'
           -- from the beginning of the last day where the person is; in the estate's zone where that is none
           WHEN coalesce(access_deadline(p.ends_on - 1, p.time_zone, to_hours(0)),
                         access_deadline(p.ends_on - 1, CAST(NULL AS VARCHAR), to_hours(0))) <= d.happened
             THEN concat('the person''s last day was ', strftime(p.ends_on, '%Y-%m-%d'))
         END AS given
  FROM done d
  JOIN places b ON b.source = d.source
  LEFT JOIN links l ON l.source = d.source AND l.account_id = d.account_id
  LEFT JOIN people p ON p.person_id = l.person_id
  LEFT JOIN entitlements e ON e.source = d.source AND e.entitlement_id = d.entitlement_id
  WHERE d.action IN ('entitlement_revoked', 'account_disabled', 'account_deleted')
    AND NOT EXISTS (SELECT 1 FROM ended x WHERE x.source = d.source AND x.event_id = d.event_id)
),
judged AS (
  SELECT *,
         CASE
           WHEN revocations_blocked IS NOT NULL THEN revocations_blocked
           WHEN happened IS NULL THEN 'when it was is unknown'
           WHEN given IS NOT NULL THEN NULL
           WHEN action = 'entitlement_revoked' AND entitlement_id IS NULL
             THEN 'which entitlement it took away is unknown'
           WHEN person_id IS NULL THEN 'its account is linked to nobody, so that no decision can be looked for'
         END AS doubt
  FROM told
)
SELECT 'revocation', source, account_id, entitlement_id, NULL, person_id, NULL, NULL, event_id, happened, NULL,
       CASE WHEN doubt IS NOT NULL THEN 'not_evaluable' WHEN given IS NOT NULL THEN 'not_required' ELSE 'required' END,
       CASE WHEN doubt IS NOT NULL THEN 'not_evaluable' WHEN given IS NOT NULL THEN 'not_required' ELSE 'missing' END,
       CASE WHEN revocations_blocked IS NOT NULL OR happened IS NULL THEN 'not_evaluable' ELSE 'proven' END,
       CASE WHEN doubt IS NOT NULL THEN 'not_evaluable' WHEN given IS NOT NULL THEN 'proven'
            ELSE 'executed_without_approval' END,
       concat('event ', event_id, ' (', action, '): ',
              coalesce(doubt, 'no decision is needed: ' || given, 'no decision asked for it'))
FROM judged
"""

ROWS = (
    "CREATE TABLE assurance (kind VARCHAR, source VARCHAR, account_id VARCHAR, entitlement_id VARCHAR, "
    "assignment VARCHAR, person_id VARCHAR, decision_id VARCHAR, decided_at TIMESTAMPTZ, event_id VARCHAR, "
    "event_at TIMESTAMPTZ, joined_by VARCHAR, policy VARCHAR, workflow VARCHAR, enforcement VARCHAR, verdict VARCHAR, "
    "reason VARCHAR)"
)

STEPS = (
    ROWS, _NAMED, _DONE, _APPROVED, _LAST_GRANT, _COVERED, _HELD, _PERHAPS, _ASKED, _ORDERS, _ENDED, _REVOKED, _LONE,
)  # fmt: skip
