-- Access was given before the approval that covers it was decided.
with said as (
  select source, target_id, entitlement_id,
         max(case when action = 'entitlement_granted' then occurred_at end) as granted
  from events
  where action in ('entitlement_granted', 'entitlement_revoked') and occurred_at <= $as_of
    and (outcome is null or list_contains($success_outcomes, lower(trim(outcome))))
  group by source, target_id, entitlement_id
  having max(case when action = 'entitlement_revoked' then occurred_at end) is null
    or max(case when action = 'entitlement_revoked' then occurred_at end)
       < max(case when action = 'entitlement_granted' then occurred_at end)
),
decided as (
  select h.source, h.principal_id, h.entitlement_id, h.assignment, a.approval_id, a.decided_at,
         h.fit = 'sure' and a.decision is not null and a.kind is not null as sure,
         a.decided_at <= h.since + $grace as before,
         -- an approval that had ended by then approved an earlier holding
         coalesce(a.valid_until < h.since, false) as over
  from (
    select g.source, g.principal_id, g.entitlement_id, g.assignment, c.approval_id, c.fit,
           coalesce(least(v.granted, g.granted_at), v.granted, g.granted_at) as since
    from grants g
    join covering c on c.source = g.source and c.account_id = g.principal_id and c.entitlement_id = g.entitlement_id
    left join said v on v.source = g.source and v.target_id = g.principal_id and v.entitlement_id = g.entitlement_id
    where g.principal_kind = 'account'
  ) h
  join approvals a on a.approval_id = h.approval_id
  where (a.kind is null or a.kind in ('access_request', 'role_change', 'onboarding', 'emergency_access'))
    and (a.decision is null or list_contains($approved_words, lower(trim(a.decision))))
    and (a.decided_at is null or a.decided_at <= $as_of)
),
found as (
  select source, principal_id, entitlement_id, assignment,
         bool_or(sure and before and not over) as covered,
         bool_or((before or before is null) and not over and (not sure or decided_at is null)) as unsure,
         bool_or(not sure and not coalesce(before, false)) as unsure_later,
         min(case when sure and not before then decided_at end) as later_at,
         min(case when sure and not before
               then concat(strftime(decided_at, '%Y-%m-%dT%H:%M:%S.%f'), approval_id) end) as later
  from decided
  group by source, principal_id, entitlement_id, assignment
),
judged as (
  select h.source, h.principal_kind, h.principal_id, h.entitlement_id, h.assignment, h.person_id, h.owner, h.doubt,
         coalesce(h.name, h.entitlement_id) as shown, coalesce(a.login, h.principal_id) as account,
         coalesce(least(v.granted, h.granted_at), v.granted, h.granted_at) as since,
         case when v.granted < h.granted_at or h.granted_at is null then 'by its event'
              else 'by the system''s own record' end as told_by,
         f.later, f.later_at, f.unsure,
         case
           when h.outside is not null then h.outside
           when f.source is null then 'no approval speaks of it'
           when coalesce(v.granted, h.granted_at) is not null and f.later_at is null and not f.unsure and not f.unsure_later
             then 'no approval was decided after it was granted'
         end as outside
  from approvable h
  left join found f on f.source = h.source and f.principal_id = h.principal_id
    and f.entitlement_id = h.entitlement_id and f.assignment = h.assignment
  left join said v on v.source = h.source and v.target_id = h.principal_id and v.entitlement_id = h.entitlement_id
  left join accounts a on a.source = h.source and a.account_id = h.principal_id
  where h.outside is not null or not coalesce(f.covered, false)
)
select source, principal_kind, principal_id, entitlement_id, assignment, person_id,
       case
         when outside is not null then 'not_applicable'
         when since is null or unsure or later_at is null or doubt is not null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when outside is not null then outside
         else concat(
           owner, ' holds ', shown, ' by account ', account, ' (', assignment, ')',
           case
             when since is null then '; when it was granted is unknown'
             else concat(' since ', strftime(since, '%Y-%m-%d %H:%M'), ' ', told_by)
           end,
           case
             when since is null then ''
             when unsure then ', and whether an approval was decided before is unknown'
             when later_at is null then ', and whether the approval decided later means it is unknown'
             when doubt is not null then ', and whether it needs an approval of its own is unknown'
             else concat(', but approval ', substr(later, 27), ' was decided on ', strftime(later_at, '%Y-%m-%d %H:%M'))
           end
         )
       end as reason
from judged
