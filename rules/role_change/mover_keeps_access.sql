-- A person changed position, and holds what was granted before, though nothing since then says that it stays.
with moves as (
  select person_id, lower(trim(system)) as system, coalesce(valid_from, decided_at) as moved_at,
         least(coalesce(valid_from, decided_at), coalesce(decided_at, valid_from)) as since,
         decision is null or kind is null or coalesce(valid_from, decided_at) is null as unsure,
         concat('approval ', approval_id) as told
  from approvals
  where (kind = 'role_change' or (kind is null and entitlement is null))
    and (decision is null or list_contains($approved_words, lower(trim(decision))))
  union all
  select l.person_id, cast(null as varchar), e.occurred_at, e.occurred_at,
         e.outcome is null or e.occurred_at is null, concat('event ', e.event_id, ' of ', e.source)
  from events e
  join links l on l.source = e.source and l.account_id = e.target_id
  where e.action = 'role_changed' and l.person_id is not null
    and (e.outcome is null or list_contains($success_words, lower(trim(e.outcome))))
    and not coalesce(list_contains($no_moves, lower(trim(e.raw_action))), false)
),
-- Whoever has an account where events were not read whole may have moved without our knowing; where its accounts
-- were not read whole either, that may be anybody.
blind as (
  select person_id, min(source) as unread
  from (
    select l.person_id, c.source
    from coverage c
    join links l on l.source = c.source
    where c.table_name = 'events' and c.status <> 'COMPLETE' and l.person_id is not null
    union all
    select p.person_id, u.source
    from people p
    cross join (
      select min(c.source) as source
      from coverage c
      join coverage a on a.source = c.source and a.table_name = 'accounts' and a.status <> 'COMPLETE'
      where c.table_name = 'events' and c.status <> 'COMPLETE'
    ) u
    where u.source is not null
  ) anywhere
  group by person_id
),
movers as (
  select person_id from moves where coalesce(moved_at + $window <= $as_of, true)
  union
  select person_id from blind
),
asked as (
  select h.source, h.principal_kind, h.principal_id, h.entitlement_id, h.assignment, h.granted_at, h.person_id,
         coalesce(h.name, h.entitlement_id) as shown, lower(h.source) as system,
         nullif(lower(trim(p.department)), '') as department, coalesce(p.full_name, h.person_id) as owner
  from holdings h
  join movers m on m.person_id = h.person_id
  left join people p on p.person_id = h.person_id
  where h.outside is null
),
-- Of several moves whose window is over the last one counts.
moved as (
  select a.source, a.principal_id, a.entitlement_id, a.assignment,
         max(case when not v.unsure then v.moved_at end) as moved_at,
         arg_max(v.since, row(v.moved_at, v.since)) filter (where not v.unsure) as since,
         arg_max(v.told, row(v.moved_at, v.told)) filter (where not v.unsure) as told,
         min(case when v.unsure and coalesce(a.granted_at < v.since, true) then v.told end) as doubtful
  from asked a
  join moves v on v.person_id = a.person_id
  where (v.system is null or v.system = a.system) and coalesce(v.moved_at + $window <= $as_of, true)
  group by a.source, a.principal_id, a.entitlement_id, a.assignment
),
kept as (
  select m.source, m.principal_id, m.entitlement_id, m.assignment,
         bool_or(c.fit = 'sure' and t.decision is not null and t.kind is not null
                 and coalesce(coalesce(t.decided_at, t.valid_from) >= m.since, false)) as covered,
         bool_or(coalesce(coalesce(t.decided_at, t.valid_from) >= m.since, true)) as unsure
  from moved m
  join covering c on c.source = m.source and c.account_id = m.principal_id and c.entitlement_id = m.entitlement_id
  join approvals t on t.approval_id = c.approval_id
  where (t.kind is null or t.kind <> 'termination')
    and (t.decision is null or list_contains($approved_words, lower(trim(t.decision))))
  group by m.source, m.principal_id, m.entitlement_id, m.assignment
),
mapped as (
  select a.source, a.principal_id, a.entitlement_id, a.assignment, coalesce(bool_or(m.sure and m.department = a.department), false) as sure
  from asked a
  join positions m on m.source = a.source and m.entitlement_id = a.entitlement_id
  where a.department is null or m.department = a.department
  group by a.source, a.principal_id, a.entitlement_id, a.assignment
),
judged as (
  select a.source, a.principal_kind, a.principal_id, a.entitlement_id, a.assignment, a.granted_at, a.person_id, a.shown, a.owner,
         a.department, v.moved_at, v.told, v.doubtful, b.unread,
         case
           when coalesce(r.sure, false) then 'stays'
           when v.since is not null and not coalesce(k.covered, false) and coalesce(a.granted_at < v.since, true) then
             case when k.unsure then 'approval' when r.source is not null then 'position' when a.granted_at is null then 'undated' else 'old' end
           when v.doubtful is not null then 'doubtful'
           when b.person_id is not null then 'blind'
           else 'stays'
         end as cause
  from asked a
  left join moved v on v.source = a.source and v.principal_id = a.principal_id and v.entitlement_id = a.entitlement_id
    and v.assignment = a.assignment
  left join kept k on k.source = a.source and k.principal_id = a.principal_id and k.entitlement_id = a.entitlement_id
    and k.assignment = a.assignment
  left join mapped r on r.source = a.source and r.principal_id = a.principal_id and r.entitlement_id = a.entitlement_id
    and r.assignment = a.assignment
  left join blind b on b.person_id = a.person_id
)
select j.source, j.principal_kind, j.principal_id, j.entitlement_id, j.assignment, j.person_id,
       case when j.cause = 'old' then 'violation' else 'not_evaluable' end as verdict,
       concat(
         j.owner,
         case when j.cause = 'doubtful' then concat(' may have changed position (', j.doubtful, ' leaves its time, kind or outcome open)')
              when j.cause = 'blind' then concat(' may have changed position (the events of ', j.unread, ' were not read whole)')
              else concat(' changed position on ', strftime(j.moved_at, '%Y-%m-%d'), ' (', j.told, ')') end,
         ' and holds ', j.shown, ' by account ', coalesce(c.login, j.principal_id), ' (', j.assignment, ')',
         case when j.granted_at is null then '' else concat(' since ', strftime(j.granted_at, '%Y-%m-%d')) end,
         case j.cause
           when 'old' then '; no later approval and no position covers it'
           when 'undated' then '; when it was granted is unknown'
           when 'approval' then '; whether a later approval covers it is unknown'
           when 'position' then case when j.department is null then '; the department is unknown, so whether it belongs to the position is, too'
                                     else '; the entitlement''s name is unknown, so whether it belongs to the position is, too' end
           else ''
         end
       ) as reason
from judged j
left join accounts c on c.source = j.source and c.account_id = j.principal_id
where j.cause <> 'stays'
union all
select source, principal_kind, principal_id, entitlement_id, assignment, person_id, 'not_applicable', outside
from holdings
where outside is not null
