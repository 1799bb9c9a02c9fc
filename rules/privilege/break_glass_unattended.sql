-- A break-glass account for which nobody answers, whose review is overdue, or that was used without an emergency record.
with glass as (
  select s.source, s.account_id, s.steward, lower(trim(s.owner_role)) as owner_role, s.review_due_on,
         coalesce(a.login, s.account_id) as name
  from specials s
  join accounts a on a.source = s.source and a.account_id = s.account_id
  where s.kind = 'break_glass'
),
engaged as (
  select person_id, coalesce(full_name, person_id) as name, ends_on, status,
         case
           when access_deadline(ends_on, time_zone, to_hours(0)) <= $as_of then 'gone'
           -- that a person has left is a fact, though nobody says since when
           when ends_on is null and list_contains($ended_statuses, lower(trim(status))) then 'gone'
           -- no zone is two days from another: before this instant an unknown one decides nothing
           when coalesce(list_contains($ended_statuses, lower(trim(status))), false)
             or (ends_on is not null and access_deadline(ends_on, time_zone, to_hours(0)) is null
                 and access_deadline(ends_on - 2, cast(null as varchar), to_hours(0)) <= $as_of) then 'unknown'
           else 'active'
         end as state
  from people
),
offered as (
  select source, account_id, 'steward ' as what, steward as person_id, false as unknown from glass where steward is not null
  union all
  select g.source, g.account_id, concat('role ', g.owner_role, ': '), h.person_id,
         h.person_id is null and (select count(*) from role_holders) = 0
  from glass g
  left join (
    select lower(trim(role)) as role, person_id
    from role_holders
    where access_deadline(since - 1, cast(null as varchar), to_hours(0)) <= $as_of
      and (until is null or access_deadline(until, cast(null as varchar), to_hours(0)) > $as_of)
    group by lower(trim(role)), person_id
  ) h on h.role = g.owner_role
  where g.owner_role is not null
),
owned as (
  select o.source, o.account_id, bool_or(coalesce(e.state = 'active', false)) as active,
         bool_or(o.unknown or coalesce(e.state = 'unknown', false)) as unknown,
         min(concat(
           o.what,
           case
             when o.unknown then 'who holds it is unknown'
             when o.person_id is null then 'nobody holds it'
             when e.person_id is null then concat(o.person_id, ' is not among the people')
             when e.state = 'gone' and e.ends_on is null then concat(e.name, ' is ', e.status, ', and no last day is known')
             when e.state = 'gone' then concat(e.name, ' left on ', strftime(e.ends_on, '%Y-%m-%d'))
             else concat(e.name, ' may have left')
           end
         )) as told
  from offered o
  left join engaged e on e.person_id = o.person_id
  group by o.source, o.account_id
),
uses as (
  select u.source, u.account_id, u.event_id, u.occurred_at, u.action, u.approval_ref,
         case
           when u.outcome is null then null
           when list_contains($failed_words, split_part(lower(trim(u.outcome)), ' ', 1)) then false
           else true
         end as done
  from (
    select source, actor_id as account_id, event_id, occurred_at, action, approval_ref, outcome from events
    where action in ('sign_in', 'privilege_elevated')
    union
    select source, target_id, event_id, occurred_at, action, approval_ref, outcome from events
    where action in ('sign_in', 'privilege_elevated')
  ) u
  join glass g on g.source = u.source and g.account_id = u.account_id
  where u.occurred_at is null or u.occurred_at <= $as_of
),
emergencies as (
  select lower(trim(approval_id)) as ref_key, lower(trim(system)) as system, coalesce(valid_from, decided_at) as begins,
         coalesce(valid_until, decided_at, valid_from) as ends,
         kind is not null and coalesce(list_contains($approved_words, lower(trim(decision))), false) as approved,
         -- a record of unknown kind counts only where the use names it: any request may lie near in time
         kind is null and coalesce(list_contains($approved_words, lower(trim(decision))), true) as kindless,
         kind is not null and decision is null as undecided
  from approvals
  where kind is null or kind = 'emergency_access'
),
matched as (
  select u.source, u.account_id, u.event_id, u.occurred_at, u.action, u.done,
         bool_or(coalesce(
           e.approved and (e.ref_key = lower(trim(u.approval_ref))
             or (u.occurred_at >= e.begins - $window and u.occurred_at <= e.ends + $window)), false)) as covered,
         bool_or(coalesce(((e.approved or e.undecided) and e.begins is null)
             or ((e.undecided or e.kindless) and e.ref_key = lower(trim(u.approval_ref)))
             or (e.undecided and u.occurred_at >= e.begins - $window and u.occurred_at <= e.ends + $window), false)) as unsure
  from uses u
  left join emergencies e on e.system is null or e.system = lower(u.source)
  where u.done is null or u.done
  group by u.source, u.account_id, u.event_id, u.occurred_at, u.action, u.done
),
used as (
  select source, account_id,
         bool_or(not unsure and done is not null and occurred_at is not null) as sure,
         min(case when not unsure and done is not null then occurred_at end) as first_at,
         min(occurred_at) as doubtful_at
  from matched
  where not covered
  group by source, account_id
),
judged as (
  select g.source, g.account_id, g.name, g.review_due_on, o.told, not coalesce(o.active, false) as unowned,
         coalesce(o.unknown, false) and not coalesce(o.active, false) as owner_unknown,
         access_deadline(g.review_due_on, cast(null as varchar), to_hours(0)) <= $as_of as overdue,
         u.account_id is not null as used, coalesce(u.sure, false) as used_surely, u.first_at, u.doubtful_at,
         c.source is not null as watched, (select count(*) from coverage where table_name = 'approvals') > 0 as recorded
  from glass g
  left join owned o on o.source = g.source and o.account_id = g.account_id
  left join used u on u.source = g.source and u.account_id = g.account_id
  left join (select distinct source from coverage where table_name = 'events') c on c.source = g.source
)
select a.source, a.account_id,
       case
         when k.account_id is not null then 'not_evaluable'
         when j.account_id is null then 'not_applicable'
         when (j.unowned and not j.owner_unknown) or coalesce(j.overdue, false) or (j.used_surely and j.recorded) then 'violation'
         else 'not_evaluable'
       end as verdict,
       case
         when k.account_id is not null then concat('account ', coalesce(a.login, a.account_id),
                                                   ' is registered as special, and whether for break-glass is unknown')
         when j.account_id is null then 'it is not registered as break-glass'
         else rtrim(concat(
           'break-glass account ', j.name, ':',
           case when j.unowned then concat(' ', coalesce(j.told, 'no steward and no owning role is named'), ';') else '' end,
           case
             when j.review_due_on is null then ' when its review is due is unknown;'
             when j.overdue then concat(' its review was due on ', strftime(j.review_due_on, '%Y-%m-%d'), ';')
             else ''
           end,
           case
             when not j.watched then ' whether it was used is unknown;'
             when not j.used then ''
             when not j.recorded then ' it was used, and no source reports emergency records;'
             when j.used_surely then
               concat(' used on ', strftime(j.first_at, '%Y-%m-%d %H:%M'), ' (UTC) without an emergency record;')
             else concat(' whether an emergency record covers its use',
                         case when j.doubtful_at is null then ''
                              else concat(' on ', strftime(j.doubtful_at, '%Y-%m-%d %H:%M'), ' (UTC)') end, ' is unknown;')
           end
         ), ';')
       end as reason
from accounts a
left join judged j on j.source = a.source and j.account_id = a.account_id
-- registered as nobody knows what; that it is a machine its source may say
left join (select source, account_id from specials where kind is null) k
  on k.source = a.source and k.account_id = a.account_id and coalesce(a.kind not in ('service', 'agent', 'shared'), true)
where j.account_id is null or j.unowned or j.review_due_on is null or j.overdue or j.used or not j.watched
