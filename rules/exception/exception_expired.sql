-- An exception is over, no other one took its place, and what it covered is still there.
with told as (
  select exception_id, rule_id, control_id, source, account_id, person_id, entitlement_id, expires_at,
         lower(trim(status)) as status, coalesce(expires_at < $as_of, false) as past,
         coalesce(expires_at < $as_of, false) or coalesce(list_contains($ended_statuses, lower(trim(status))), false) as over
  from exceptions
),
in_force as (
  select distinct rule_id, control_id, source, account_id, person_id, entitlement_id, true as renewed
  from told where not over
),
ended as (
  select t.exception_id, t.source, lower(trim(t.account_id)) as account_key, t.person_id,
         lower(trim(t.entitlement_id)) as entitlement_key,
         concat('exception ', t.exception_id,
                case when t.past then concat(' ended on ', strftime(t.expires_at, '%Y-%m-%d'))
                     else concat(' is ', t.status) end) as how
  from told t
  left join in_force f on f.rule_id is not distinct from t.rule_id and f.control_id is not distinct from t.control_id
    and f.source is not distinct from t.source and f.account_id is not distinct from t.account_id
    and f.person_id is not distinct from t.person_id and f.entitlement_id is not distinct from t.entitlement_id
  where t.over and f.renewed is null
),
named as (
  select n.source, n.account_id, e.exception_id
  from (
    select source, account_id, lower(trim(account_id)) as name from accounts
    union all
    select source, account_id, lower(trim(login)) from accounts
  ) n
  join ended e on e.account_key = n.name and (e.source is null or e.source = n.source)
  union
  select l.source, l.account_id, e.exception_id
  from links l
  join ended e on e.account_key is null and e.person_id = l.person_id and (e.source is null or e.source = l.source)
),
entitled as (
  select t.source, t.entitlement_id, coalesce(t.name, t.entitlement_id) as shown, e.exception_id
  from (
    select source, entitlement_id, name, lower(entitlement_id) as wanted from entitlements
    union all
    select source, entitlement_id, name, lower(trim(name)) from entitlements
  ) t
  join ended e on e.entitlement_key = t.wanted and (e.source is null or e.source = t.source)
),
held as (
  select g.source, g.principal_id as account_id, t.exception_id, min(t.shown) as shown
  from grants g
  join entitled t on t.source = g.source and t.entitlement_id = g.entitlement_id
  where g.principal_kind = 'account'
  group by g.source, g.principal_id, t.exception_id
),
still as (
  select n.exception_id, n.source, n.account_id, cast(null as varchar) as shown
  from named n
  join ended e on e.exception_id = n.exception_id and e.entitlement_key is null
  union all
  select h.exception_id, h.source, h.account_id, h.shown
  from held h
  join ended e on e.exception_id = h.exception_id
  left join named n on n.exception_id = h.exception_id and n.source = h.source and n.account_id = h.account_id
  where n.account_id is not null or (e.account_key is null and e.person_id is null)
)
select e.exception_id, s.source, s.account_id, coalesce(l.person_id, e.person_id) as person_id,
       case when s.shown is null and a.usable is null then 'not_evaluable' else 'violation' end as verdict,
       concat(e.how, '; account ', coalesce(a.login, s.account_id),
              case
                when s.shown is not null then concat(' still holds ', s.shown)
                when a.usable is null then ', which it covered, may still sign in'
                else concat(', which it covered, is still ', coalesce(a.status, 'usable'))
              end) as reason
from still s
join ended e on e.exception_id = s.exception_id
left join (
  select source, account_id, login, status,
         coalesce(can_sign_in, case when status = 'enabled' then true
                                    when status in ('disabled', 'deleted') then false end) as usable
  from accounts
) a on a.source = s.source and a.account_id = s.account_id
left join links l on l.source = s.source and l.account_id = s.account_id
where s.shown is not null or (a.account_id is not null and coalesce(a.usable, true))
union all
select exception_id, source, cast(null as varchar), person_id, 'not_applicable',
       concat(how, '; it names no account, person or entitlement that could be looked up')
from ended
where account_key is null and person_id is null and entitlement_key is null
