-- A leaver's account was opened again after the last day had ended.
with owned as (
  select a.source, a.account_id, a.login, l.person_id as linked_to, p.person_id, coalesce(p.full_name, p.person_id) as owner,
         p.ends_on, p.time_zone, p.status as person_status,
         coalesce(a.can_sign_in, a.status = 'enabled', false) as usable,
         access_deadline(p.ends_on, p.time_zone, $grace) as exit_at,
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
  select source, account_id, login, person_id, owner, ends_on, time_zone, person_status, usable, exit_at, contradicted
  from owned
  where person_id is not null and (exit_at <= $as_of or contradicted or (exit_at is null and earliest <= $as_of))
),
told as (
  select source, target_id, event_id, actor_id, occurred_at, action = 'account_enabled' as opens, outcome is null as unsaid
  from events
  where action in ('account_enabled', 'account_disabled', 'account_deleted')
    and (outcome is null or list_contains($success_words, lower(trim(outcome))))
),
seen as (
  select g.source, g.account_id,
         min(case when t.opens and not t.unsaid and t.occurred_at >= g.exit_at then t.occurred_at end) as opened_at,
         arg_min(concat('event ', t.event_id, case when t.actor_id is null then '' else concat(' by ', t.actor_id) end),
                 row(t.occurred_at, concat('event ', t.event_id, case when t.actor_id is null then '' else concat(' by ', t.actor_id) end)))
           filter (where t.opens and not t.unsaid and t.occurred_at >= g.exit_at) as opened_by,
         min(case when t.opens and t.unsaid and t.occurred_at >= g.exit_at then t.occurred_at end) as perhaps_at,
         max(case when t.opens then t.occurred_at end) as last_opened,
         max(case when not t.opens and not t.unsaid then t.occurred_at end) as last_closed,
         bool_or(t.opens and t.occurred_at is null) as undated
  from gone g
  join told t on t.source = g.source and t.target_id = g.account_id
  group by g.source, g.account_id
),
logs as (
  select source, min(occurred_at) as from_at from events group by source
),
nameless as (
  select source, max(coalesce(occurred_at, $as_of)) as last_at from told where opens and target_id is null group by source
),
judged as (
  select g.source, g.account_id, g.person_id, g.owner, g.login, g.ends_on, g.time_zone, g.person_status,
         s.opened_at, s.opened_by, s.perhaps_at, s.last_closed,
         case
           when g.contradicted then 'said'
           when g.exit_at is null then 'zone'
           when s.opened_at is not null then 'opened'
           -- closed by an event that the source's state, read later, contradicts
           when g.usable and s.last_closed >= coalesce(s.last_opened, s.last_closed) and s.last_closed <= $as_of - $lag
             then case when s.last_closed >= g.exit_at then 'silently' else 'unseen' end
           when s.perhaps_at is not null then 'unsaid'
           when s.undated then 'undated'
           when n.last_at >= g.exit_at then 'nameless'
           when l.from_at > g.exit_at or (l.from_at is null and g.exit_at < $as_of - $reach) then 'late log'
         end as cause
  from gone g
  left join seen s on s.source = g.source and s.account_id = g.account_id
  left join logs l on l.source = g.source
  left join nameless n on n.source = g.source
)
select source, account_id, person_id,
       case when cause in ('opened', 'silently') then 'violation' else 'not_evaluable' end as verdict,
       case cause
         when 'said' then
           concat('account ', coalesce(login, account_id), ': ', owner, ' is ', person_status,
                  case when ends_on is null then ', but no last day is known'
                       else concat(', but the last day is ', strftime(ends_on, '%Y-%m-%d')) end)
         when 'zone' then
           concat('account ', coalesce(login, account_id), ': the last day of ', owner, ' is ', strftime(ends_on, '%Y-%m-%d'),
                  ' in the unknown time zone ', time_zone)
         else concat(
           owner, ' left on ', strftime(ends_on, '%Y-%m-%d'), '; account ', coalesce(login, account_id),
           case cause
             when 'opened' then concat(' was enabled at ', strftime(opened_at, '%Y-%m-%d %H:%M'), ' (', opened_by, ')')
             when 'silently' then concat(' was closed at ', strftime(last_closed, '%Y-%m-%d %H:%M'),
                                         ' and is usable again, and no event says since when')
             when 'unseen' then concat(' was closed at ', strftime(last_closed, '%Y-%m-%d %H:%M'),
                                       ' and is usable again; whether it was opened before the last day ended is unknown')
             when 'unsaid' then concat(' may have been enabled at ', strftime(perhaps_at, '%Y-%m-%d %H:%M'),
                                       ': the event does not say whether it succeeded')
             when 'undated' then ' was enabled by an event that does not say when'
             when 'nameless' then ' may be the one that an event of its source enables without naming it'
             else ' may have been enabled before the events read begin'
           end
         )
       end as reason
from judged
where cause is not null
union all
select source, account_id, linked_to, 'not_applicable',
       case when linked_to is null then 'linked to nobody' else concat(linked_to, ' is not among the people') end
from owned
where person_id is null
