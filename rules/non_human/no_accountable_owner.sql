-- A service account, app or agent for which no active person answers: no steward, owner, holder of the owning role.
with machines as (
  select a.source, a.account_id, coalesce(a.login, a.display_name, a.account_id) as name, a.owner_ref, s.steward,
         lower(trim(s.owner_role)) as owner_role, l.person_id as linked_to,
         -- registered as nobody knows what: it may be for break-glass, unless its source says that it is a machine
         coalesce(s.kind, case when a.kind in ('service', 'agent', 'shared') then a.kind end) as kind,
         coalesce(a.can_sign_in, case when a.status = 'enabled' then true
                                      when a.status in ('disabled', 'deleted') then false end) as usable
  from accounts a
  left join specials s on s.source = a.source and s.account_id = a.account_id
  left join links l on l.source = a.source and l.account_id = a.account_id
  where s.kind in ('service', 'agent', 'shared') or (s.account_id is null and a.kind in ('service', 'agent'))
     or (s.account_id is not null and s.kind is null)
),
spelt as (
  select person_id, lower(trim(person_id)) as name from people
  union all
  select person_id, lower(trim(employee_id)) from people
  union all
  select person_id, lower(trim(email)) from (select person_id, unnest(emails) as email from people)
  union all
  select person_id, lower(trim(login)) from (select person_id, unnest(logins) as login from people)
),
owners as (
  -- whom the source means by its owner: a person, or an account of its own that is linked to one
  select m.source, m.account_id, p.person_id
  from machines m
  join spelt p on p.name = lower(trim(m.owner_ref))
  union
  select m.source, m.account_id, l.person_id
  from machines m
  join (
    select source, account_id, lower(account_id) as name from accounts
    union all
    select source, account_id, lower(trim(login)) from accounts
    union all
    select source, account_id, lower(trim(email)) from accounts
    union all
    select source, account_id, lower(trim(json_extract_string(attributes, '$.dn')))
    from accounts where json_valid(attributes)
  ) n on n.source = m.source and n.name = lower(trim(m.owner_ref))
  join links l on l.source = n.source and l.account_id = n.account_id and l.person_id is not null
),
in_office as (
  select lower(trim(role)) as role, person_id
  from role_holders
  where access_deadline(since - 1, cast(null as varchar), to_hours(0)) <= $as_of
    and (until is null or access_deadline(until, cast(null as varchar), to_hours(0)) > $as_of)
  group by lower(trim(role)), person_id
),
offered as (
  select source, account_id, 'steward' as what, steward as who, steward as person_id, false as unknown
  from machines where steward is not null
  union all
  select m.source, m.account_id, 'owner', m.owner_ref, o.person_id, o.person_id is null
  from machines m
  left join owners o on o.source = m.source and o.account_id = m.account_id
  where m.owner_ref is not null
  union all
  select source, account_id, 'linked person', linked_to, linked_to, false from machines where linked_to is not null
  union all
  select m.source, m.account_id, 'role', m.owner_role, h.person_id, (select count(*) from role_holders) = 0
  from machines m
  left join in_office h on h.role = m.owner_role
  where m.owner_role is not null
),
engaged as (
  select person_id, coalesce(full_name, person_id) as name, ends_on, time_zone, starts_on, status,
         coalesce(list_contains($ended_statuses, lower(trim(status))), false) as said_to_have_left,
         access_deadline(ends_on, time_zone, to_hours(0)) as deadline,
         -- no zone is two days from another: before this instant an unknown one decides nothing
         access_deadline(ends_on - 2, cast(null as varchar), to_hours(0)) as earliest,
         access_deadline(starts_on - 1, cast(null as varchar), to_hours(0)) as begins
  from people
),
weighed as (
  select o.source, o.account_id, o.what,
         case
           when o.unknown then 'unknown'
           when o.person_id is null then 'nobody'
           when e.person_id is null or e.deadline <= $as_of
             -- that a person has left is a fact, though nobody says since when
             or (e.said_to_have_left and e.ends_on is null) then 'gone'
           when e.said_to_have_left or (e.ends_on is not null and e.deadline is null and e.earliest <= $as_of) then 'unknown'
           when e.begins > $as_of then 'gone'
           else 'active'
         end as state,
         case
           when o.unknown and o.what = 'role' then concat('who holds the role ', o.who, ' is unknown')
           when o.unknown then concat('owner ', o.who, ' is nobody known')
           when o.person_id is null then concat('nobody holds the role ', o.who)
           else concat(
             o.what, case when o.what = 'role' then concat(' ', o.who, ': ') else ' ' end, coalesce(e.name, o.person_id),
             case
               when e.person_id is null then ' is not among the people'
               when e.deadline <= $as_of then concat(' left on ', strftime(e.ends_on, '%Y-%m-%d'))
               when e.said_to_have_left and e.ends_on is null then concat(' is ', e.status, ', and no last day is known')
               when e.said_to_have_left then concat(' is ', e.status, ', but the last day is ', strftime(e.ends_on, '%Y-%m-%d'))
               when e.begins > $as_of then concat(' begins on ', strftime(e.starts_on, '%Y-%m-%d'))
               else concat(' leaves on ', strftime(e.ends_on, '%Y-%m-%d'), ' in the unknown time zone ', e.time_zone)
             end
           )
         end as told
  from offered o
  left join engaged e on e.person_id = o.person_id
),
answers as (
  select source, account_id, bool_or(state = 'active') as active, bool_or(state = 'unknown') as unknown,
         string_agg(told, '; ' order by told) as told
  from weighed
  group by source, account_id
)
select a.source, a.account_id,
       case
         when m.account_id is null or not coalesce(m.usable, true) then 'not_applicable'
         when coalesce(w.unknown, false) or m.usable is null or m.kind is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when m.account_id is null then 'it is no service, agent or shared account'
         when not coalesce(m.usable, true) then 'it cannot be used'
         else concat(
           coalesce(m.kind, 'special'), ' account ', m.name, ': ', coalesce(w.told, 'no steward, owner or owning role is named'),
           case when m.kind is null then '; what kind of special account it is, is unknown' else '' end,
           case when m.usable is null then '; whether it can be used is unknown' else '' end
         )
       end as reason
from accounts a
left join machines m on m.source = a.source and m.account_id = a.account_id
left join answers w on w.source = a.source and w.account_id = a.account_id
where m.account_id is null or not coalesce(m.usable, true) or not coalesce(w.active, false)
