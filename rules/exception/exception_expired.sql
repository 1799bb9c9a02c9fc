-- An exception is over, no other one covers the same, and what it covered is still there.
with told as (
  select exception_id, source, person_id, status, lower(trim(rule_id)) as rule_key, lower(trim(control_id)) as control_key,
         lower(trim(source)) as source_key, lower(trim(account_id)) as account_key,
         lower(trim(entitlement_id)) as entitlement_key, list_contains($unseen_rules, upper(trim(rule_id))) as unseen,
         concat('exception ', exception_id,
                case when expires_at < $as_of then concat(' ended on ', strftime(expires_at, '%Y-%m-%d'))
                     else concat(' is ', lower(trim(status))) end) as how,
         case
           when list_contains($closed_statuses, lower(trim(status))) then 'closed'
           when expires_at < $as_of or list_contains($ended_statuses, lower(trim(status))) then 'ended'
           when (status is null or list_contains($in_force_words, lower(trim(status))))
             and (approved_at is null or approved_at <= $as_of) then 'in force'
         end as state
  from exceptions
),
known as (
  select exception_id, state, source_key, account_key, person_id, entitlement_key
  from told
  where state = 'in force' or (state = 'ended' and not coalesce(unseen, false))
),
named as (
  select n.source, n.account_id, k.exception_id
  from (
    select source, account_id, lower(trim(account_id)) as name from accounts
    union all
    select source, account_id, lower(trim(login)) from accounts
    union all
    select source, account_id, lower(trim(json_extract_string(attributes, '$.dn')))
    from accounts where json_valid(attributes)
    union all
    select source, account_id, lower(trim(json_extract_string(attributes, '$.arn')))
    from accounts where json_valid(attributes)
  ) n
  join known k on k.account_key = n.name and (k.source_key is null or k.source_key = lower(n.source))
  union
  select l.source, l.account_id, k.exception_id
  from links l
  join known k on k.account_key is null and k.person_id = l.person_id
    and (k.source_key is null or k.source_key = lower(l.source))
),
entitled as (
  select t.source, t.entitlement_id, k.exception_id, max(t.name) as name
  from (
    select source, entitlement_id, name, lower(entitlement_id) as wanted from entitlements
    union all
    select source, entitlement_id, name, lower(trim(name)) from entitlements
    union all
    select source, entitlement_id, cast(null as varchar), lower(entitlement_id)
    from (select distinct source, entitlement_id from grants)
  ) t
  join known k on k.entitlement_key = t.wanted and (k.source_key is null or k.source_key = lower(t.source))
  group by t.source, t.entitlement_id, k.exception_id
),
held as (
  select g.source, g.principal_id as account_id, g.entitlement_id, t.exception_id, coalesce(t.name, g.entitlement_id) as shown
  from grants g
  join entitled t on t.source = g.source and t.entitlement_id = g.entitlement_id
  join known k on k.exception_id = t.exception_id and k.state = 'ended'
  where g.principal_kind = 'account'
  group by g.source, g.principal_id, g.entitlement_id, t.exception_id, t.name
),
still as (
  select n.exception_id, n.source, n.account_id, cast(null as varchar) as entitlement_id, cast(null as varchar) as shown
  from named n
  join known k on k.exception_id = n.exception_id and k.state = 'ended' and k.entitlement_key is null
  union all
  select h.exception_id, h.source, h.account_id, h.entitlement_id, h.shown
  from held h
  join known k on k.exception_id = h.exception_id
  left join named n on n.exception_id = h.exception_id and n.source = h.source and n.account_id = h.account_id
  where n.account_id is not null or (k.account_key is null and k.person_id is null)
),
-- What is in force covers an account, an entitlement of it, an entitlement of everybody's, a source, or everything.
in_force as (
  select n.exception_id, n.source, n.account_id, t.entitlement_id
  from named n
  join known k on k.exception_id = n.exception_id and k.state = 'in force'
  left join entitled t on t.exception_id = n.exception_id and t.source = n.source
  where k.entitlement_key is null or t.entitlement_id is not null
  union all
  select t.exception_id, t.source, cast(null as varchar), t.entitlement_id
  from entitled t
  join known k on k.exception_id = t.exception_id and k.state = 'in force'
  where k.account_key is null and k.person_id is null
  union all
  select k.exception_id, s.source, cast(null as varchar), cast(null as varchar)
  from known k
  join (select distinct source from still) s on k.source_key is null or k.source_key = lower(s.source)
  where k.state = 'in force' and k.account_key is null and k.person_id is null and k.entitlement_key is null
),
replaced as (
  select distinct w.exception_id, w.source, w.account_id, w.entitlement_id, true as yes
  from (
    select s.exception_id, s.source, s.account_id, s.entitlement_id, e.rule_key, e.control_key,
           case when m.by_account then s.account_id end as wanted_account,
           case when m.by_entitlement then s.entitlement_id end as wanted_entitlement
    from still s
    join told e on e.exception_id = s.exception_id
    cross join (values (true, false), (true, true), (false, true), (false, false)) as m(by_account, by_entitlement)
  ) w
  join in_force f on f.source = w.source and f.account_id is not distinct from w.wanted_account
    and f.entitlement_id is not distinct from w.wanted_entitlement
  join told r on r.exception_id = f.exception_id
  where (r.rule_key is null or r.rule_key = w.rule_key) and (r.control_key is null or r.control_key = w.control_key)
    and concat(r.rule_key, r.control_key, r.source_key, r.account_key, r.person_id, r.entitlement_key) <> ''
),
left_over as (
  select s.exception_id, s.source, s.account_id, min(s.shown) as shown
  from still s
  left join replaced r on r.exception_id = s.exception_id and r.source = s.source and r.account_id = s.account_id
    and r.entitlement_id is not distinct from s.entitlement_id
  where r.yes is null
  group by s.exception_id, s.source, s.account_id
)
select e.exception_id, s.source, s.account_id, coalesce(l.person_id, e.person_id) as person_id,
       case when s.shown is null and a.usable is null then 'not_evaluable' else 'violation' end as verdict,
       concat(e.how, '; account ', coalesce(a.login, s.account_id),
              case
                when s.shown is not null then concat(' still holds ', s.shown)
                when a.usable is null then ', which it covered, may still sign in'
                else concat(', which it covered, is still ', coalesce(a.status, 'usable'))
              end) as reason
from left_over s
join told e on e.exception_id = s.exception_id
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
       case
         when state = 'closed' then concat('exception ', exception_id, ' is ', lower(trim(status)),
                                           ': its register says that nothing of it is left')
         when unseen then concat(how, '; what its rule judges is no account and no grant')
         else concat(how, '; it names no account, person or entitlement that could be looked up')
       end
from told
where state = 'closed'
   or (state = 'ended' and (unseen or (account_key is null and person_id is null and entitlement_key is null)))
