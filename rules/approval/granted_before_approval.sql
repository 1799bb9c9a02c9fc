-- Access was given before the approval that covers it was decided.
with things as (
  select g.source, g.entitlement_id, lower(g.entitlement_id) as id_key, lower(trim(e.name)) as name_key
  from grants g
  left join entitlements e on e.source = g.source and e.entitlement_id = g.entitlement_id
  where g.principal_kind = 'account'
  group by g.source, g.entitlement_id, e.name
),
declared as (
  select 'scope' as list, number, cast(null as varchar) as department, lower(trim(source)) as system, entitlement, approval
  from approval_scope
  union all
  select 'map', number, department, lower(trim(source)), entitlement, 'not_required' from role_maps
),
entries as (
  select list, number, department, system, entitlement as wanted, approval,
         case when regexp_matches(entitlement, '[*?]') then
           replace(replace(replace(replace(replace(entitlement, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_')
         end as pattern
  from declared
),
matched as (
  select t.source, t.entitlement_id, n.list, n.number, n.department, n.approval,
         n.wanted = t.id_key or coalesce(n.wanted = t.name_key, false)
           or coalesce(t.id_key like n.pattern escape '\', false)
           or coalesce(t.name_key like n.pattern escape '\', false) as fits,
         t.name_key is null as nameless
  from things t
  cross join entries n
  where n.system is null or n.system = lower(t.source)
),
scoped as (
  -- the first entry that fits decides; one that may fit, for the name is unknown, leaves it open
  select source, entitlement_id,
         coalesce(min(case when fits and approval = 'not_required' then number end)
                  < coalesce(min(case when approval = 'required' then number end), 1000000000), false) as free,
         coalesce(min(case when approval = 'not_required' then number end)
                  < coalesce(min(case when fits and approval = 'required' then number end), 1000000000), false) as maybe_free
  from matched
  where list = 'scope' and (fits or nameless)
  group by source, entitlement_id
),
mapped as (
  select source, entitlement_id, department, bool_or(fits) as sure
  from matched
  where list = 'map' and (fits or nameless)
  group by source, entitlement_id, department
),
mapped_at_all as (
  select source, entitlement_id from mapped group by source, entitlement_id
),
said as (
  select source, target_id, entitlement_id,
         max(case when action = 'entitlement_granted' then occurred_at end) as granted,
         max(case when action = 'entitlement_revoked' then occurred_at end) as revoked
  from events
  where action in ('entitlement_granted', 'entitlement_revoked') and occurred_at <= $as_of
    and (outcome is null or list_contains($success_outcomes, lower(trim(outcome))))
  group by source, target_id, entitlement_id
),
held as (
  select g.source, g.principal_kind, g.principal_id, g.entitlement_id, g.assignment, l.person_id,
         coalesce(e.name, g.entitlement_id) as shown, coalesce(p.full_name, l.person_id) as owner,
         coalesce(a.login, g.principal_id) as account,
         case when v.granted is not null and (g.granted_at is null or v.granted < g.granted_at) then v.granted
              else g.granted_at end as since,
         case when v.granted is not null and (g.granted_at is null or v.granted < g.granted_at) then 'by its event'
              else 'by the system''s own record' end as told_by,
         case
           when g.principal_kind <> 'account' then 'it nests one entitlement in another'
           when g.assignment in ('dynamic', 'inherited') or e.membership = 'dynamic' then 'it follows from a rule'
           when e.membership = 'primary' then 'it is the account''s primary group'
           when s.account_id is not null then 'its account is registered as special'
           when l.person_id is null then 'its account is linked to nobody'
           when c.free then 'the approval scope asks no approval of it'
           when m.sure then 'the role map of the person''s department gives it'
         end as outside,
         coalesce(c.maybe_free, false) or m.department is not null
           or (n.entitlement_id is not null and nullif(trim(p.department), '') is null) as maybe_free
  from grants g
  left join entitlements e on e.source = g.source and e.entitlement_id = g.entitlement_id
  left join links l on g.principal_kind = 'account' and l.source = g.source and l.account_id = g.principal_id
  left join specials s on g.principal_kind = 'account' and s.source = g.source and s.account_id = g.principal_id
  left join people p on p.person_id = l.person_id
  left join accounts a on g.principal_kind = 'account' and a.source = g.source and a.account_id = g.principal_id
  left join scoped c on c.source = g.source and c.entitlement_id = g.entitlement_id
  left join mapped m on m.source = g.source and m.entitlement_id = g.entitlement_id
    and m.department = lower(trim(p.department))
  left join mapped_at_all n on n.source = g.source and n.entitlement_id = g.entitlement_id
  left join said v on v.source = g.source and v.target_id = g.principal_id and v.entitlement_id = g.entitlement_id
    and (v.revoked is null or v.revoked < v.granted)
),
decided as (
  select h.source, h.principal_id, h.entitlement_id, h.assignment, h.since, a.approval_id, a.decided_at,
         c.fit = 'sure' and a.decision is not null and a.kind is not null as sure,
         a.decided_at <= h.since + $grace as before,
         -- an approval that had ended by then approved an earlier holding
         coalesce(a.valid_until < h.since, false) as over
  from held h
  join covering c on c.source = h.source and c.account_id = h.principal_id and c.entitlement_id = h.entitlement_id
  join approvals a on a.approval_id = c.approval_id
  where h.outside is null
    and (a.kind is null or a.kind in ('access_request', 'role_change', 'onboarding', 'emergency_access'))
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
  select h.source, h.principal_kind, h.principal_id, h.entitlement_id, h.assignment, h.person_id, h.shown, h.owner,
         h.account, h.since, h.told_by, f.later, f.later_at, f.unsure, h.maybe_free,
         case
           when h.outside is not null then h.outside
           when f.source is null then 'no approval speaks of it'
           when f.covered then null
           when h.since is not null and f.later_at is null and not f.unsure and not f.unsure_later
             then 'no approval was decided after it was granted'
         end as outside,
         coalesce(f.covered, false) as covered
  from held h
  left join found f on f.source = h.source and f.principal_id = h.principal_id
    and f.entitlement_id = h.entitlement_id and f.assignment = h.assignment
)
select source, principal_kind, principal_id, entitlement_id, assignment, person_id,
       case
         when outside is not null then 'not_applicable'
         when since is null or unsure or later_at is null or maybe_free then 'not_evaluable'
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
             when maybe_free then ', and whether it needs an approval of its own is unknown'
             else concat(', but approval ', substr(later, 27), ' was decided on ', strftime(later_at, '%Y-%m-%d %H:%M'))
           end
         )
       end as reason
from judged
where outside is not null or not covered
