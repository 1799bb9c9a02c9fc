-- A leaver's account was closed in one source, and another source still lets the same person in.
with engaged as (
  select person_id, coalesce(full_name, person_id) as owner, ends_on, time_zone, status,
         access_deadline(ends_on, time_zone, $grace) as deadline,
         -- no zone is two days from another: before this instant an unknown one decides nothing
         access_deadline(ends_on - 2, cast(null as varchar), $grace) as earliest,
         access_deadline(starts_on - 1, time_zone, to_hours(0)) as began_at,
         coalesce(list_contains($ended_statuses, lower(trim(status))), false)
           and (ends_on is null
                or coalesce(access_deadline(ends_on - 1, time_zone, to_hours(0)),
                            access_deadline(ends_on - 1, cast(null as varchar), to_hours(0))) > $as_of) as contradicted
  from people
),
-- Where no last day is known, an approved termination says when the engagement ended.
ended as (
  select g.person_id,
         max(case when t.kind is not null and t.decision is not null then coalesce(t.valid_from, t.decided_at) end) as at,
         min(case when t.kind is null or t.decision is null or coalesce(t.valid_from, t.decided_at) is null then t.approval_id end) as unsure
  from engaged g
  join approvals t on t.person_id = g.person_id
  where g.ends_on is null and t.entitlement is null and t.system is null
    and (t.kind is null or t.kind = 'termination')
    and (t.decision is null or list_contains($approved_words, lower(trim(t.decision))))
    and coalesce(coalesce(t.valid_from, t.decided_at) + $grace <= $as_of, true)
    and coalesce(coalesce(t.valid_from, t.decided_at) > g.began_at, true)
  group by g.person_id
),
leavers as (
  select g.person_id, g.owner,
         case when g.deadline <= $as_of or e.at is not null then 'over'
              when g.contradicted then 'said' when g.ends_on is not null then 'zone' else 'unsure' end as cause,
         case
           when g.deadline <= $as_of then concat(g.owner, ' left on ', strftime(g.ends_on, '%Y-%m-%d'))
           when e.at is not null then concat('the termination of ', g.owner, ' took effect on ', strftime(e.at, '%Y-%m-%d'))
           when g.contradicted then
             concat(g.owner, ' is ', g.status,
                    case when g.ends_on is null then ', but no last day is known'
                         else concat(', but the last day is ', strftime(g.ends_on, '%Y-%m-%d')) end)
           when g.ends_on is not null then
             concat('the last day of ', g.owner, ' is ', strftime(g.ends_on, '%Y-%m-%d'), ' in the unknown time zone ', g.time_zone)
           else concat('approval ', e.unsure, ', whose kind, decision or date is unknown, may end the access of ', g.owner)
         end as told
  from engaged g
  left join ended e on e.person_id = g.person_id
  where g.deadline <= $as_of or e.person_id is not null or g.contradicted or (g.deadline is null and g.earliest <= $as_of)
),
theirs as (
  select a.source, a.account_id, coalesce(a.login, a.account_id) as shown, a.status, v.person_id, v.cause, v.told,
         coalesce(a.can_sign_in, case when a.status = 'enabled' then true
                                      when a.status in ('disabled', 'deleted') then false end) as usable
  from leavers v
  join links l on l.person_id = v.person_id
  join accounts a on a.source = l.source and a.account_id = l.account_id
),
by_source as (
  select person_id, source,
         min(case when status in ('disabled', 'deleted') and not usable then concat(shown, ' of ', source, ' is ', status) end) as closed,
         min(case when status is null and not coalesce(usable, false) then concat(shown, ' of ', source) end) as doubtful
  from theirs
  group by person_id, source
),
elsewhere as (
  select t.source, t.account_id, min(b.closed) as closed, min(b.doubtful) as doubtful
  from theirs t
  join by_source b on b.person_id = t.person_id and b.source <> t.source
  where coalesce(t.usable, true)
  group by t.source, t.account_id
)
select t.source, t.account_id, t.person_id,
       case when t.cause = 'over' and t.usable and e.closed is not null then 'violation' else 'not_evaluable' end as verdict,
       concat(t.told, '; account ', t.shown,
              case when t.usable then concat(' is still ', coalesce(t.status, 'usable')) else ' may still sign in' end,
              case when e.closed is not null then concat(', while account ', e.closed)
                   else concat(', and whether account ', e.doubtful, ' is closed is unknown') end) as reason
from theirs t
join elsewhere e on e.source = t.source and e.account_id = t.account_id
where coalesce(t.usable, true) and (e.closed is not null or e.doubtful is not null)
union all
select a.source, a.account_id, l.person_id, 'not_applicable',
       case when l.person_id is null then 'linked to nobody' else concat(l.person_id, ' is not among the people') end
from accounts a
left join links l on l.source = a.source and l.account_id = a.account_id
left join people p on p.person_id = l.person_id
where p.person_id is null
