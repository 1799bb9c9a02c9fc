-- An approval of access that is in force, was decided some time ago, and was never carried out.
with systems as (
  select source from coverage where table_name in ('accounts', 'entitlements', 'grants') group by source
),
asked as (
  select a.approval_id, a.person_id, a.kind, a.decision, a.environment, s.source, a.system,
         lower(trim(a.entitlement)) as wanted, coalesce(a.entitlement, 'an account') as shown,
         coalesce(p.full_name, a.person_id) as owner, p.person_id is not null as known,
         case when regexp_matches(a.entitlement, '[*?]') then
           replace(replace(replace(replace(replace(lower(trim(a.entitlement)),
             '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_')
         end as pattern,
         case when a.valid_from > a.decided_at then a.valid_from else coalesce(a.decided_at, a.valid_from) end as since,
         case
           when a.kind in ('recertification', 'termination') then 'it approves no access'
           when a.kind = 'role_change' and a.entitlement is null then 'it names no entitlement'
           when not list_contains($approved_words, lower(trim(a.decision))) then 'it was not approved'
           when a.valid_until < $as_of then concat('it ended on ', strftime(a.valid_until, '%Y-%m-%d'))
           when (a.decided_at > a.valid_from or a.valid_from is null) and a.decided_at + $after > $as_of
             or a.valid_from + $after > $as_of then 'it may still be carried out in time'
           when coalesce(access_deadline(p.ends_on, p.time_zone, to_hours(0)),
                         access_deadline(p.ends_on, cast(null as varchar), to_hours(0))) <= $as_of
             then concat('the last day of ', coalesce(p.full_name, p.person_id), ' was ', strftime(p.ends_on, '%Y-%m-%d'))
         end as outside
  from approvals a
  left join people p on p.person_id = a.person_id
  left join systems s on lower(s.source) = lower(trim(a.system))
),
held as (
  select approval_id, bool_or(fit = 'sure') as sure from covering group by approval_id
),
judged as (
  select a.approval_id, a.person_id, a.source, a.wanted, a.pattern, a.since
  from asked a
  left join held h on h.approval_id = a.approval_id
  where a.outside is null and not coalesce(h.sure, false)
),
-- Many approvals share a few patterns.
fitting as (
  select p.pattern, e.source, e.entitlement_id
  from (select distinct pattern from judged where pattern is not null) p
  cross join entitlements e
  where lower(e.entitlement_id) like p.pattern escape '\' or lower(trim(e.name)) like p.pattern escape '\'
),
pending as (
  select j.approval_id, j.person_id, e.source, e.entitlement_id
  from judged j
  join entitlements e on lower(trim(e.name)) = j.wanted
  where j.source is null or j.source = e.source
  union
  select j.approval_id, j.person_id, e.source, e.entitlement_id
  from judged j
  join entitlements e on lower(e.entitlement_id) = j.wanted
  where j.source is null or j.source = e.source
  union
  select j.approval_id, j.person_id, f.source, f.entitlement_id
  from judged j
  join fitting f on f.pattern = j.pattern
  where j.source is null or j.source = f.source
),
-- an entitlement may be reached through groups: look from what the person holds, for what is wanted only
reached as (
  select distinct approval_id
  from (
    select n.approval_id
    from pending n
    join links l on l.person_id = n.person_id and l.source = n.source
    join grants g on g.source = l.source and g.principal_id = l.account_id and g.principal_kind = 'account'
    join nesting x on x.source = g.source and x.held_id = g.entitlement_id and x.entitlement_id = n.entitlement_id
    group by n.approval_id, g.source, g.principal_id, n.entitlement_id
    having min(x.depth) > 1
  ) nested
),
owned as (
  select l.person_id, a.source, a.created_at, coalesce(a.can_sign_in, a.status = 'enabled', false) as usable,
         a.can_sign_in is null and (a.status is null or a.status not in ('enabled', 'disabled', 'deleted')) as unsure
  from links l
  join accounts a on a.source = l.source and a.account_id = l.account_id
  where l.person_id is not null
),
usable as (
  -- an account that was made since, and closed again, carried it out as well
  select j.approval_id, bool_or(o.usable or coalesce(o.created_at >= j.since, false)) as sure,
         bool_or(o.unsure) as unsure, bool_or(o.created_at is null) as ageless
  from judged j
  join owned o on o.person_id = j.person_id
  where j.wanted is null and (j.source is null or j.source = o.source)
  group by j.approval_id
),
candidates as (
  select source, unnest(candidates) as person_id from links where person_id is null
),
perhaps as (
  select j.approval_id
  from judged j
  join candidates c on c.person_id = j.person_id
  where j.source is null or j.source = c.source
  group by j.approval_id
),
results as (
  select a.approval_id, a.source, a.person_id, a.outside,
         coalesce(case when a.wanted is null then u.sure else h.sure or r.approval_id is not null end,
                  r.approval_id is not null) as done,
         case
           when a.kind is null then 'its kind is unknown'
           when a.decision is null then 'its decision is unknown'
           when a.since is null then 'when it was decided is unknown'
           when a.person_id is null then 'whom it concerns is unknown'
           when not a.known then concat(a.person_id, ' is not among the people')
           when a.system is not null and a.source is null then concat('no source reports the system ', a.system)
           when h.approval_id is not null then 'whether what the person holds is what it means is unknown'
           when a.wanted is null and u.unsure then 'whether the person''s account can sign in is unknown'
           when a.wanted is null and u.ageless then 'when the person''s closed account was created is unknown'
           when c.approval_id is not null then 'an account that may be the person''s is linked to nobody'
         end as doubt,
         concat(coalesce(a.owner, 'nobody named'), ': ', a.shown, coalesce(' in ' || a.system, ''),
                coalesce(' was approved on ' || strftime(a.since, '%Y-%m-%d'), ' was approved')) as told,
         case when a.wanted is null then 'no account of that person can sign in there' else 'no account of that person holds it' end
           as missing
  from asked a
  left join held h on a.outside is null and h.approval_id = a.approval_id
  left join reached r on r.approval_id = a.approval_id
  left join usable u on u.approval_id = a.approval_id
  left join perhaps c on c.approval_id = a.approval_id
)
select approval_id, source, person_id,
       case
         when outside is not null then 'not_applicable'
         when doubt is not null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when outside is not null then outside
         else concat(told, ' (', approval_id, '); ', coalesce(doubt, missing))
       end as reason
from results
where outside is not null or not done
union all
-- each system counts all approvals: those of another one, or of any, are judged elsewhere
select a.approval_id, s.source, a.person_id, 'not_applicable', 'it does not concern this system alone'
from asked a
cross join systems s
where a.source is null or a.source <> s.source
