-- A person holds an entitlement that no approval covers, now or before.
with registered as (
  select n.source, n.account_id
  from (
    select source, account_id, lower(trim(account_id)) as name from accounts
    union all
    select source, account_id, lower(trim(login)) from accounts
    union all
    select source, account_id, lower(trim(json_extract_string(attributes, '$.dn')))
    from accounts where json_valid(attributes)
    union all
    select source, account_id, lower(trim(json_extract_string(attributes, '$.arn')))
    from accounts where json_valid(attributes)
  ) n
  join special_accounts s on s.source = n.source and lower(trim(s.account_id)) = n.name
  group by n.source, n.account_id
),
held as not materialized (
  select g.source, g.principal_kind, g.principal_id, g.entitlement_id, g.assignment, l.person_id,
         lower(g.source) as system, lower(g.entitlement_id) as id_key, lower(trim(e.name)) as name_key,
         coalesce(e.name, g.entitlement_id) as shown, lower(trim(e.environment)) as environment, e.privileged,
         case
           when g.principal_kind <> 'account' then 'it nests one entitlement in another'
           when g.assignment in ('dynamic', 'inherited') or e.membership = 'dynamic' then 'it follows from a rule'
           when e.membership = 'primary' then 'it is the account''s primary group'
           when $scope = 'privileged' and not e.privileged then 'it is not privileged'
           when r.account_id is not null then 'its account is registered as special'
           when l.person_id is null then 'its account is linked to nobody'
         end as outside
  from grants g
  left join entitlements e on e.source = g.source and e.entitlement_id = g.entitlement_id
  left join links l on g.principal_kind = 'account' and l.source = g.source and l.account_id = g.principal_id
  left join registered r on g.principal_kind = 'account' and r.source = g.source and r.account_id = g.principal_id
),
decided as (
  select person_id, lower(trim(system)) as system, lower(trim(environment)) as environment,
         lower(trim(entitlement)) as wanted, valid_until,
         case when regexp_matches(entitlement, '[*?]') then
           -- LIKE, since a regular expression of each row's own would be compiled for each row
           replace(replace(replace(replace(replace(lower(trim(entitlement)), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_')
         end as pattern,
         case
           when decision is null or kind is null then case when valid_until < $as_of then 'past' else 'unsure' end
           when valid_until < $as_of then 'ended'
           else 'live'
         end as state
  from approvals
  where entitlement is not null
    and (kind is null or kind in ('access_request', 'role_change', 'onboarding', 'emergency_access'))
    and (decision is null or list_contains($approved_words, lower(trim(decision))))
    and (valid_from is null or valid_from <= $as_of) and (decided_at is null or decided_at <= $as_of)
),
fitting as (
  select h.source, h.principal_id, h.entitlement_id, d.state, d.valid_until,
         d.wanted = h.id_key or coalesce(d.wanted = h.name_key, false)
           or coalesce(h.id_key like d.pattern escape '\', false)
           or coalesce(h.name_key like d.pattern escape '\', false) as fits,
         h.name_key is null as nameless, d.environment is not null and h.environment is null as placeless
  from held h
  join decided d on d.person_id = h.person_id
  where h.outside is null
    and (d.system is null or d.system = h.system)
    and (d.environment is null or h.environment is null or d.environment = h.environment)
),
found as (
  select source, principal_id, entitlement_id,
         bool_or(fits and state = 'live' and not placeless) as covered,
         bool_or(case when fits then state = 'unsure' or (state = 'live' and placeless)
                      else nameless and state in ('live', 'unsure') end) as unsure,
         bool_or(fits and state = 'live' and placeless) as placeless,
         max(case when fits and state = 'ended' then valid_until end) as ended_at
  from fitting
  where fits or nameless
  group by source, principal_id, entitlement_id
)
select h.source, h.principal_kind, h.principal_id, h.entitlement_id, h.assignment, h.person_id,
       case
         when h.outside is not null or f.ended_at is not null then 'not_applicable'
         when f.unsure or ($scope = 'privileged' and h.privileged is null) then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when h.outside is not null then h.outside
         when f.ended_at is not null then concat('an approval covered it until ', strftime(f.ended_at, '%Y-%m-%d'))
         else concat(
           coalesce(p.full_name, h.person_id), ' holds ', h.shown, ' by account ', coalesce(a.login, h.principal_id),
           ' (', h.assignment, ')',
           case
             when f.unsure and h.name_key is null then
               '; the entitlement''s name is unknown, so whether an approval covers it is, too'
             when f.placeless then '; an approval fits that is limited to an environment, and the entitlement''s is unknown'
             when f.unsure then '; an approval fits whose decision or kind is unknown'
             when $scope = 'privileged' and h.privileged is null then '; whether it is privileged is unknown'
             else '; no approval covers it'
           end
         )
       end as reason
from held h
left join found f on f.source = h.source and f.principal_id = h.principal_id and f.entitlement_id = h.entitlement_id
  and h.outside is null
left join accounts a on h.outside is null and a.source = h.source and a.account_id = h.principal_id
left join people p on h.outside is null and p.person_id = h.person_id
where h.outside is not null or not coalesce(f.covered, false)
