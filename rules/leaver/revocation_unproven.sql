-- A termination was approved and is due, and no event of the account's source shows that the account was closed.
with owned as (
  select a.source, a.account_id, a.login, a.status, a.deleted_at, lower(a.source) as system, l.person_id as linked_to,
         p.person_id, coalesce(p.full_name, p.person_id) as owner, p.ends_on,
         coalesce(a.can_sign_in, a.status = 'enabled', false) as usable,
         access_deadline(p.ends_on, p.time_zone, to_hours(0)) as left_at,
         -- no zone is two days from another: before this instant an unknown one decides nothing
         access_deadline(p.ends_on - 2, cast(null as varchar), to_hours(0)) as earliest,
         access_deadline(p.starts_on - 1, p.time_zone, to_hours(0)) as began_at
  from accounts a
  left join links l on l.source = a.source and l.account_id = a.account_id
  left join people p on p.person_id = l.person_id
),
told as (
  select approval_id, person_id, lower(trim(system)) as system, decided_at, valid_from,
         decision is null or kind is null as unsure
  from approvals
  where entitlement is null and (kind is null or kind = 'termination')
    and (decision is null or list_contains($approved_words, lower(trim(decision))))
    and (decided_at is null or decided_at <= $as_of)
),
asked as (
  select o.source, o.account_id, t.approval_id, t.unsure,
         -- a termination takes effect when it says, else when the last day ends, else when it is decided
         coalesce(t.valid_from, case when o.left_at > t.decided_at then o.left_at end,
                  case when o.ends_on is null or o.left_at <= t.decided_at then t.decided_at end,
                  case when t.decided_at is null then o.left_at end) as effective_at,
         coalesce(least(coalesce(t.decided_at, t.valid_from), coalesce(t.valid_from, t.decided_at)), o.left_at) as known_at,
         case when t.valid_from is null then o.earliest end as earliest
  from owned o
  join told t on t.person_id = o.person_id
  -- what ended before the person's present engagement began was another one
  where (t.system is null or t.system = o.system)
    and coalesce(coalesce(t.valid_from, t.decided_at) > o.began_at, true)
),
-- Of several terminations the one that took effect last decides; those without any time come behind.
latest as (
  select source, account_id, approval_id, unsure, effective_at, known_at
  from (
    select source, account_id, approval_id, unsure, effective_at, known_at,
           row_number() over (partition by source, account_id
             order by unsure, case when effective_at is null then 1 else 0 end, effective_at desc, approval_id) as place
    from asked
    where coalesce(effective_at, earliest, $as_of - $grace) + $grace <= $as_of
  ) ranked
  where place = 1
),
closing as (
  select source, target_id, occurred_at,
         case when outcome is null then 'unsaid'
              when list_contains($success_words, lower(trim(outcome))) then 'done' else 'failed' end as result
  from events
  where action in ('account_disabled', 'account_deleted')
),
opening as (
  select source, target_id, max(occurred_at) as last_at
  from events
  where action = 'account_enabled' and (outcome is null or list_contains($success_words, lower(trim(outcome))))
  group by source, target_id
),
proof as (
  select t.source, t.account_id,
         bool_or(c.result = 'done' and c.occurred_at >= t.known_at - $before) as done,
         max(case when c.result = 'done' then c.occurred_at end) as last_at,
         bool_or(c.result = 'unsaid' and c.occurred_at >= t.known_at - $before) as unsaid,
         bool_or(c.result <> 'failed' and c.occurred_at is null) as undated,
         bool_or(c.result = 'failed' and c.occurred_at >= t.known_at - $before) as failed
  from latest t
  join closing c on c.source = t.source and c.target_id = t.account_id
  group by t.source, t.account_id
),
logs as (
  select source, min(occurred_at) as from_at from events group by source
),
nameless as (
  select source, max(coalesce(occurred_at, $as_of)) as last_at
  from closing
  where target_id is null and result <> 'failed'
  group by source
),
judged as (
  select o.source, o.account_id, o.person_id, o.linked_to, o.login, o.status, o.usable, o.owner, t.approval_id, t.effective_at, t.known_at,
         coalesce(f.failed, false) as failed,
         case
           when o.person_id is null then 'nobody'
           when t.approval_id is null or coalesce(f.done, false)
             or coalesce(o.deleted_at >= coalesce(t.known_at, o.deleted_at) - $before, false) then 'fine'
           -- it had been closed before, and nothing opened it again
           when o.status in ('disabled', 'deleted') and f.last_at is not null
             and (b.last_at is null or b.last_at < f.last_at) then 'fine'
           when coalesce(f.unsaid, false) then
             case when o.status in ('disabled', 'deleted') then 'fine' else 'unsaid' end
           when t.unsure then 'unsure'
           when coalesce(f.undated, false) then 'undated'
           when t.effective_at is null then 'timeless'
           when o.usable then 'unproven'
           when n.last_at >= t.known_at - $before then 'nameless'
           -- a log that begins later is silent about what came before it
           when g.from_at > t.known_at then 'late_log'
           when g.from_at is null and t.known_at < $as_of - $reach then 'no_log'
           else 'unproven'
         end as cause
  from owned o
  left join latest t on t.source = o.source and t.account_id = o.account_id
  left join proof f on f.source = o.source and f.account_id = o.account_id
  left join opening b on b.source = o.source and b.target_id = o.account_id
  left join logs g on g.source = o.source
  left join nameless n on n.source = o.source
)
select source, account_id, linked_to as person_id,
       case cause when 'nobody' then 'not_applicable' when 'unproven' then 'violation' else 'not_evaluable' end as verdict,
       case
         when linked_to is null then 'linked to nobody'
         when cause = 'nobody' then concat(linked_to, ' is not among the people')
         else concat(
           case when cause = 'unsure' then concat('approval ', approval_id, ', whose kind or decision is unknown, may end the access of ', owner)
                else concat('termination ', approval_id, ' of ', owner, ' is approved',
                            case when effective_at is null then ''
                                 else concat(' and took effect on ', strftime(effective_at, '%Y-%m-%d %H:%M')) end) end,
           '; account ', coalesce(login, account_id), ' is ', coalesce(status, 'of unknown status'),
           case cause
             when 'unsaid' then ', and an event that closes it does not say whether it succeeded'
             when 'undated' then ', and an event that closes it does not say when'
             when 'timeless' then ', and from when the termination counts is unknown'
             when 'nameless' then ', and an event of its source closes an account that it does not name'
             when 'late_log' then ', and the events read begin later'
             when 'no_log' then ', and no event of its source was read'
             when 'unsure' then ', and no event closes it'
             else case when failed then ', and the event that was to close it did not succeed'
                       when status in ('disabled', 'deleted') then ', but no event proves when it was closed'
                       else ', and no event closes it' end
           end
         )
       end as reason
from judged
where cause <> 'fine'
