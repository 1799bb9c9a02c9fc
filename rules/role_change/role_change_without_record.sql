-- A system says that a person's role was changed, and no approved change record tells of it.
with changes as (
  select e.source, e.event_id, e.occurred_at, e.actor_id, e.target_id, e.outcome, lower(e.source) as system,
         nullif(trim(e.approval_ref), '') as approval_ref, list_contains($other_targets, lower(trim(e.target_kind))) as elsewhere,
         a.account_id, coalesce(a.login, e.target_id) as shown, l.person_id, coalesce(p.full_name, l.person_id) as owner,
         s.account_id is not null as registered
  from events e
  left join accounts a on a.source = e.source and a.account_id = e.target_id
  left join links l on l.source = e.source and l.account_id = e.target_id
  left join people p on p.person_id = l.person_id
  left join specials s on s.source = e.source and s.account_id = e.target_id
  where e.action = 'role_changed'
    and (e.outcome is null or list_contains($success_words, lower(trim(e.outcome))))
),
records as (
  select approval_id, kind, person_id, lower(trim(system)) as system, decision, valid_until,
         list_contains($approved_words, lower(trim(decision))) as yes,
         coalesce(decided_at, valid_from) as decided_at, coalesce(valid_from, decided_at) as valid_from
  from approvals
),
named as (
  select c.source, c.event_id,
         bool_or(coalesce(r.yes, false) and coalesce(r.person_id = c.person_id, true)) as recorded,
         bool_or(r.decision is null and coalesce(r.person_id = c.person_id, true)) as unsure,
         min(case when not r.yes then concat('approval ', r.approval_id, ', which it names, is ', lower(trim(r.decision)))
                  when r.person_id <> c.person_id then concat('approval ', r.approval_id, ', which it names, is of ', r.person_id)
             end) as wrong
  from changes c
  join cited k on k.source = c.source and k.event_id = c.event_id
  join records r on r.approval_id = k.approval_id
  group by c.source, c.event_id
),
near as (
  select c.source, c.event_id,
         bool_or(r.kind is not null and r.decision is not null and r.decided_at is not null) as recorded
  from changes c
  join records r on r.person_id = c.person_id
  where (r.kind is null or r.kind = 'role_change') and (r.decision is null or r.yes)
    and (r.system is null or r.system = c.system)
    and coalesce(r.decided_at <= c.occurred_at + $after, true)
    and coalesce(r.valid_from >= c.occurred_at - $before, true)
    and coalesce(r.valid_until >= c.occurred_at, true)
  group by c.source, c.event_id
),
judged as (
  select c.source, c.event_id, c.occurred_at, c.actor_id, c.target_id, c.approval_ref, c.outcome, c.shown, c.person_id, c.owner,
         m.wrong, m.event_id is not null as known_ref,
         case
           when m.recorded or (n.recorded and c.occurred_at is not null) then 'recorded'
           when m.unsure then 'undecided'
           when c.target_id is null then 'nobody'
           when c.account_id is null then case when coalesce(c.elsewhere, false) then 'elsewhere' else 'gone' end
           when c.person_id is null then case when c.registered then 'special' else 'unlinked' end
           when c.occurred_at is null then 'undated'
           when n.event_id is not null then 'unsure'
           -- a record may follow within the time that is allowed for it
           when c.occurred_at + $after > $as_of then 'recorded'
           when c.outcome is null then 'unsaid'
           else 'unrecorded'
         end as cause
  from changes c
  left join named m on m.source = c.source and m.event_id = c.event_id
  left join near n on n.source = c.source and n.event_id = c.event_id
)
select source, event_id, person_id,
       case when cause in ('elsewhere', 'special') then 'not_applicable' when cause = 'unrecorded' then 'violation'
            else 'not_evaluable' end as verdict,
       case cause
         when 'elsewhere' then 'it changes a role or group itself, not a person''s'
         when 'special' then 'its account is registered as special'
         else concat(
           'event ', event_id, ' changed the role of ',
           case when target_id is null then 'an account that it does not name'
                when owner is null then concat('account ', shown)
                else concat(owner, ' (account ', shown, ')') end,
           case when occurred_at is null then '' else concat(' at ', strftime(occurred_at, '%Y-%m-%d %H:%M')) end,
           case when actor_id is null then '' else concat(' by ', actor_id) end,
           case cause
             when 'undecided' then concat('; the decision of ', approval_ref, ', which it names, is unknown')
             when 'nobody' then ', so whose record to look for is unknown'
             when 'gone' then ', which its source does not list: whose it is is unknown'
             when 'unlinked' then ', which is linked to nobody: whose record to look for is unknown'
             when 'undated' then '; it does not say when'
             when 'unsure' then '; a record fits whose kind, decision or date is unknown'
             when 'unsaid' then '; no approved record tells of it, and whether it succeeded is unknown'
             else case when wrong is not null then concat('; ', wrong)
                       when approval_ref is not null and not known_ref then
                         concat('; no approved record tells of it, and ', approval_ref, ', which it names, is not known')
                       else '; no approved record tells of it' end
           end
         )
       end as reason
from judged
where cause <> 'recorded'
union all
select source, event_id, cast(null as varchar), 'not_applicable',
       case when coalesce(action = 'role_changed', false) then 'it did not succeed' else 'it changes no role' end
from events
where not coalesce(action = 'role_changed' and (outcome is null or list_contains($success_words, lower(trim(outcome)))), false)
