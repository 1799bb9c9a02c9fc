-- A guest account that can be used and that no active employee answers for.
with staff as (
  select person_id, coalesce(full_name, person_id) as owner,
         case when ends_on is null then ' has left, and no last day is known' else ' has left' end as how,
         case
           when kind in ('contractor', 'supplier', 'external') or supplier_id is not null then 'outsider'
           when access_deadline(ends_on, time_zone, to_hours(0)) <= $as_of then 'left'
           when ends_on is null and list_contains($ended_statuses, lower(trim(status))) then 'left'
           when list_contains($ended_statuses, lower(trim(status))) or kind is null then 'unknown'
           when access_deadline(ends_on, time_zone, to_hours(0)) is null
             and access_deadline(ends_on - 2, cast(null as varchar), to_hours(0)) <= $as_of then 'unknown'
           else 'active'
         end as state
  from people
),
guests as (
  select a.source, a.account_id, a.login, a.status, a.manager_ref, a.owner_ref, l.person_id, p.person_id as known_person,
         p.manager_id, c.business_owner, coalesce(a.kind = 'guest', false) as sure,
         case when c.contract_id is null then p.contract_id end as lost_contract,
         case when s.account_id is not null then 'registered as special'
              when p.kind = 'employee' and p.supplier_id is null and a.kind is distinct from 'guest' then 'an employee''s account' end as outside,
         coalesce(a.can_sign_in, case when a.status = 'enabled' then true
                                      when a.status in ('disabled', 'deleted') then false end) as usable
  from accounts a
  left join links l on l.source = a.source and l.account_id = a.account_id
  left join people p on p.person_id = l.person_id
  left join contracts c on c.contract_id = p.contract_id
  left join specials s on s.source = a.source and s.account_id = a.account_id
  where a.kind is null or a.kind in ('guest', 'unknown')
),
named as (
  select source, account_id, lower(trim(manager_ref)) as ref from guests where trim(manager_ref) <> ''
  union
  select source, account_id, lower(trim(owner_ref)) from guests where trim(owner_ref) <> ''
),
wanted as (
  select distinct source, ref from named
),
-- Whom a source names, by any name that people or its own accounts go by; no person: an account of nobody known.
resolved as (
  select w.source, w.ref, n.person_id
  from wanted w
  join (
    select person_id, lower(trim(person_id)) as name from people
    union
    select person_id, lower(trim(employee_id)) from people
    union
    select person_id, lower(trim(m.raw)) from (select person_id, unnest(emails) as raw from people) m
    union
    select person_id, lower(trim(m.raw)) from (select person_id, unnest(logins) as raw from people) m
  ) n on n.name = w.ref
  union
  select w.source, w.ref, l.person_id
  from wanted w
  join (
    select source, account_id, lower(trim(account_id)) as name from accounts
    union
    select source, account_id, lower(trim(login)) from accounts
    union
    select source, account_id, lower(trim(email)) from accounts
    union
    select source, account_id, lower(trim(json_extract_string(attributes, '$.dn')))
    from accounts where json_valid(attributes)
    union
    select source, account_id, lower(trim(json_extract_string(attributes, '$.arn')))
    from accounts where json_valid(attributes)
  ) n on n.source = w.source and n.name = w.ref
  left join links l on l.source = n.source and l.account_id = n.account_id
),
answering as (
  select source, account_id, known_person as sponsor from guests where known_person is not null
  union
  select source, account_id, manager_id from guests where manager_id is not null
  union
  select source, account_id, business_owner from guests where business_owner is not null
  union
  select n.source, n.account_id, r.person_id
  from named n
  join resolved r on r.source = n.source and r.ref = n.ref
),
answered as (
  select r.source, r.account_id, bool_or(coalesce(s.state = 'active', false)) as active,
         bool_or(s.person_id is null and r.sponsor is null) as unlinked,
         min(case when s.state = 'unknown' then s.owner end) as unknown_one,
         min(case when s.state = 'left' then concat(s.owner, s.how) end) as left_one,
         min(case when s.person_id is null then r.sponsor end) as missing_one
  from answering r
  left join staff s on s.person_id = r.sponsor
  group by r.source, r.account_id
),
judged as (
  select g.source, g.account_id, g.person_id, coalesce(g.login, g.account_id) as name, g.status, g.usable, g.sure, g.outside, g.lost_contract,
         x.unlinked, x.unknown_one, x.left_one, x.missing_one, coalesce(x.active, false) as active,
         coalesce(g.manager_ref, g.owner_ref) as ref,
         g.sure and x.unknown_one is null and not coalesce(x.unlinked, false)
           and g.lost_contract is null as certain
  from guests g
  left join answered x on x.source = g.source and x.account_id = g.account_id
)
select source, account_id, person_id,
       case when outside is not null then 'not_applicable' when certain and usable then 'violation' else 'not_evaluable' end as verdict,
       case
         when outside is not null then outside
         else concat(
           'account ', name,
           case
             when unknown_one is not null then concat(' names ', unknown_one, '; whether that is an active employee is unknown')
             when unlinked then concat(' names an account of nobody known: ', ref)
             when lost_contract is not null
               then concat(' is under contract ', lost_contract, ', which is not among the contracts, nor is its owner known')
             when left_one is not null then concat(' is answered for by nobody active: ', left_one)
             when missing_one is not null
               then concat(' is answered for by nobody active: ', missing_one, ' is not among the people')
             when ref is not null then concat(' is answered for by nobody active: ', ref, ' is no employee')
             else ' is answered for by nobody'
           end,
           case when sure then '' else '; whether it is a guest is unknown' end,
           case when usable is null then '; it may still sign in' else concat('; it is ', coalesce(status, 'usable')) end
         )
       end as reason
from judged
where outside is not null or (not active and coalesce(usable, true))
union all
select a.source, a.account_id, l.person_id, 'not_applicable', 'no guest'
from accounts a
left join links l on l.source = a.source and l.account_id = a.account_id
where a.kind not in ('guest', 'unknown')
