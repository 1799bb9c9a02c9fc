-- A leaver's account was closed, but later than its deadline allows: measured to the minute.
with owned as (
  select a.source, a.account_id, a.login, a.status, a.deleted_at, l.person_id as linked_to, p.person_id,
         coalesce(p.full_name, p.person_id) as owner, p.ends_on, p.time_zone, p.status as person_status,
         coalesce(a.can_sign_in, case when a.status = 'enabled' then true
                                      when a.status in ('disabled', 'deleted') then false end) as usable,
         date_trunc('minute', access_deadline(p.ends_on, p.time_zone, $grace) + $lag) as due,
         access_deadline(p.ends_on, p.time_zone, to_hours(0)) as left_at,
         -- no zone is two days from another: before this instant an unknown one decides nothing
         access_deadline(p.ends_on - 2, cast(null as varchar), $grace) as earliest,
         coalesce(list_contains($ended_statuses, lower(trim(p.status))), false)
           and (p.ends_on is null
                or coalesce(access_deadline(p.ends_on - 1, p.time_zone, to_hours(0)),
                            access_deadline(p.ends_on - 1, cast(null as varchar), to_hours(0))) > $as_of) as contradicted
  from accounts a
  left join links l on l.source = a.source and l.account_id = a.account_id
  left join people p on p.person_id = l.person_id
),
gone as (
  select source, account_id, login, status, deleted_at, person_id, owner, ends_on, time_zone, person_status, usable, due,
         left_at, contradicted
  from owned
  where person_id is not null
    and (due <= $as_of or contradicted or (due is null and earliest <= $as_of))
),
told as (
  select e.source, e.target_id as account_id, e.action, date_trunc('minute', e.occurred_at) as at, e.outcome is null as unsaid
  from events e
  where e.action in ('account_disabled', 'account_deleted', 'account_enabled')
    and (e.outcome is null or list_contains($success_words, lower(trim(e.outcome))))
  union all
  select source, account_id, 'account_deleted', date_trunc('minute', deleted_at), false
  from gone
  where deleted_at is not null
),
seen as (
  select g.source, g.account_id,
         max(case when t.action <> 'account_enabled' and not t.unsaid and t.at <= g.due then t.at end) as closed_in_time,
         max(case when t.action <> 'account_enabled' and t.unsaid and t.at <= g.due then t.at end) as perhaps_in_time,
         max(case when t.action = 'account_enabled' and t.at <= g.due then t.at end) as opened_in_time,
         min(case when t.action <> 'account_enabled' and t.at > g.due then t.at end) as closed_late,
         min(case when t.action = 'account_disabled' and t.at > g.due then t.at end) as disabled_late,
         bool_or(t.action = 'account_enabled' and t.at > g.due) as opened_late,
         bool_or(t.action <> 'account_enabled' and t.at is null) as undated
  from gone g
  join told t on t.source = g.source and t.account_id = g.account_id
  group by g.source, g.account_id
),
logs as (
  select source, min(occurred_at) as from_at from events group by source
),
judged as (
  select g.source, g.account_id, g.person_id, g.owner, g.login, g.status, g.ends_on, g.time_zone, g.person_status, g.due,
         s.closed_late, s.disabled_late,
         case
           when g.contradicted then 'said'
           when g.due is null then 'zone'
           when g.usable then 'usable'
           when s.closed_in_time >= coalesce(s.opened_in_time, s.closed_in_time) then 'in time'
           when g.status in ('suspended', 'locked', 'staged') and s.closed_late is null then 'not closed'
           when s.undated then 'undated'
           when s.perhaps_in_time >= coalesce(s.opened_in_time, s.perhaps_in_time) then
             case when s.closed_late is null then 'in time' else 'unsaid' end
           when s.closed_late is null then case when g.usable is null then 'unknown' else 'no event' end
           -- only what is open is disabled; what is deleted may have been disabled long before
           when s.disabled_late = s.closed_late or s.opened_in_time is not null or s.opened_late
             or l.from_at <= g.left_at - $before then 'late'
           else 'late log'
         end as cause
  from gone g
  left join seen s on s.source = g.source and s.account_id = g.account_id
  left join logs l on l.source = g.source
)
select source, account_id, person_id,
       case cause when 'late' then 'violation'
                  when 'usable' then 'not_applicable' when 'not closed' then 'not_applicable'
                  else 'not_evaluable' end as verdict,
       case
         when cause = 'usable' then 'it can still be used, so nothing was revoked'
         when cause = 'not closed' then concat('it is ', status, ', which is not closed')
         when cause = 'said' then
           concat('account ', coalesce(login, account_id), ': ', owner, ' is ', person_status,
                  case when ends_on is null then ', but no last day is known'
                       else concat(', but the last day is ', strftime(ends_on, '%Y-%m-%d')) end)
         when cause = 'zone' then
           concat('account ', coalesce(login, account_id), ': the last day of ', owner, ' is ', strftime(ends_on, '%Y-%m-%d'),
                  ' in the unknown time zone ', time_zone)
         else concat(
           owner, ' left on ', strftime(ends_on, '%Y-%m-%d'), ' and access had to end by ', strftime(due, '%Y-%m-%d %H:%M'),
           ' UTC; account ', coalesce(login, account_id),
           case cause
             when 'late' then
               concat(case when disabled_late = closed_late then ' was disabled at ' else ' was deleted at ' end,
                      strftime(closed_late, '%Y-%m-%d %H:%M'), ', ', cast(date_diff('minute', due, closed_late) as varchar), ' minutes late')
             when 'undated' then ' was closed by an event that does not say when'
             when 'unsaid' then concat(' was closed at ', strftime(closed_late, '%Y-%m-%d %H:%M'),
                                       ', and whether an earlier event had closed it already is unknown')
             when 'late log' then concat(' was deleted at ', strftime(closed_late, '%Y-%m-%d %H:%M'),
                                         ', and whether it was disabled before the events read begin is unknown')
             when 'unknown' then ' is of unknown status, and no event closes it'
             else concat(' is ', coalesce(status, 'closed'), ', and no event says since when')
           end
         )
       end as reason
from judged
where cause <> 'in time'
union all
select source, account_id, linked_to, 'not_applicable',
       case when linked_to is null then 'linked to nobody' else concat(linked_to, ' is not among the people') end
from owned
where person_id is null
