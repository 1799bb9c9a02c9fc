-- A closed account that still reaches privileged entitlements, ready for whoever opens it again.
with owned as (
  select a.source, a.account_id, a.login, a.status, a.can_sign_in, p.person_id, coalesce(p.full_name, p.person_id) as owner,
         p.ends_on, p.time_zone, p.status as person_status, s.account_id is not null as registered,
         access_deadline(p.ends_on, p.time_zone, $grace) as deadline,
         -- no zone is two days from another: before this instant an unknown one decides nothing
         access_deadline(p.ends_on - 2, cast(null as varchar), $grace) as earliest,
         coalesce(list_contains($ended_statuses, lower(trim(p.status))), false)
           and (p.ends_on is null
                or coalesce(access_deadline(p.ends_on - 1, p.time_zone, to_hours(0)),
                            access_deadline(p.ends_on - 1, cast(null as varchar), to_hours(0))) > $as_of) as contradicted
  from accounts a
  left join links l on l.source = a.source and l.account_id = a.account_id
  left join people p on p.person_id = l.person_id
  left join specials s on s.source = a.source and s.account_id = a.account_id
),
shut as (
  select source, account_id, login, status, person_id, owner, ends_on, time_zone, person_status,
         case
           when status in ('disabled', 'deleted') then 'closed'
           when coalesce(can_sign_in, false) or status in ('enabled', 'staged') then 'open'
           when status is null then 'unknown'
           when deadline <= $as_of then 'left'
           when deadline is null and earliest <= $as_of then 'zone'
           when contradicted then 'said'
           else 'open'
         end as cause
  from owned
  where not registered
),
held as (
  select c.source, c.account_id,
         count(distinct case when v.privileged then v.entitlement_id end) as known,
         min(case when v.privileged then v.path end) as path, min(v.path) as doubtful
  from nesting v
  join grants g on g.source = v.source and g.entitlement_id = v.held_id and g.principal_kind = 'account'
  join shut c on c.source = g.source and c.account_id = g.principal_id and c.cause <> 'open'
  where coalesce(v.privileged, true)
  group by c.source, c.account_id
)
select c.source, c.account_id, c.person_id,
       case when h.known = 0 or c.cause in ('unknown', 'zone', 'said') then 'not_evaluable' else 'violation' end as verdict,
       concat('account ', coalesce(c.login, c.account_id),
              case when c.status is null then ' may be closed' else concat(' is ', c.status) end,
              case c.cause
                when 'left' then concat(' and ', c.owner, ' left on ', strftime(c.ends_on, '%Y-%m-%d'))
                when 'zone' then concat('; the last day of ', c.owner, ' is ', strftime(c.ends_on, '%Y-%m-%d'),
                                        ' in the unknown time zone ', c.time_zone)
                when 'said' then
                  concat('; ', c.owner, ' is ', c.person_status,
                         case when c.ends_on is null then ', but no last day is known'
                              else concat(', but the last day is ', strftime(c.ends_on, '%Y-%m-%d')) end)
                else case when c.owner is null then '' else concat(' (', c.owner, ')') end
              end,
              '; it still reaches ', coalesce(h.path, h.doubtful),
              case when h.known > 1 then concat(' and ', cast(h.known - 1 as varchar), ' more that are privileged')
                   when h.known = 0 then ', and whether that is privileged is unknown' else '' end) as reason
from held h
join shut c on c.source = h.source and c.account_id = h.account_id
union all
select source, account_id, person_id, 'not_applicable', 'it is registered as special'
from owned
where registered
