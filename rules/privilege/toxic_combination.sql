-- One person, or one account of nobody, holds something of both sides of a declared combination.
with declared as (
  select conflict, side, source, entitlement as wanted, why,
         case when regexp_matches(entitlement, '[*?]') then
           -- LIKE, since a regular expression of each row's own would be compiled for each row
           replace(replace(replace(replace(replace(entitlement, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_')
         end as pattern
  from conflicts
),
named as (
  select source, entitlement_id, lower(entitlement_id) as id_key, lower(trim(name)) as name_key from entitlements
  union all
  -- held, but not listed by its source: its name is unknown
  select g.source, g.entitlement_id, lower(g.entitlement_id), cast(null as varchar)
  from (select distinct source, entitlement_id from grants) g
  left join entitlements e on e.source = g.source and e.entitlement_id = g.entitlement_id
  where e.entitlement_id is null
),
compared as (
  select n.source, n.entitlement_id, d.conflict, d.side, d.why, n.name_key,
         coalesce(n.id_key = d.wanted, false) or coalesce(n.name_key = d.wanted, false)
           or coalesce(n.id_key like d.pattern escape '\', false)
           or coalesce(n.name_key like d.pattern escape '\', false) as fits
  from named n
  join declared d on d.source is null or d.source = n.source
),
wanted as (
  select source, entitlement_id, conflict, side, min(why) as why, bool_or(fits) as fits
  from compared
  where fits or name_key is null
  group by source, entitlement_id, conflict, side
),
reached as (
  select g.source, g.principal_id as account_id, n.entitlement_id, arg_min(n.path, row(n.depth, n.path)) as path
  from (select distinct source, entitlement_id from wanted) w
  join nesting n on n.source = w.source and n.entitlement_id = w.entitlement_id
  join grants g on g.source = n.source and g.entitlement_id = n.held_id and g.principal_kind = 'account'
  group by g.source, g.principal_id, n.entitlement_id
),
held as (
  select w.conflict, w.side, w.why, x.source, x.entitlement_id, l.person_id,
         case when l.person_id is null then x.account_id end as alone,
         w.fits and coalesce(a.can_sign_in, a.status = 'enabled', false) and (s.account_id is null or s.kind is not null) as sure,
         concat(x.path, ' by account ', coalesce(a.login, x.account_id), ' of ', x.source,
                case when w.fits then '' else ' (its name is unknown)' end,
                case when a.can_sign_in is null and a.status is distinct from 'enabled'
                     then ' (whether it can sign in is unknown)' else '' end,
                case when s.account_id is not null and s.kind is null
                     then ' (whether that is for break-glass is unknown)' else '' end) as told
  from wanted w
  join reached x on x.source = w.source and x.entitlement_id = w.entitlement_id
  left join accounts a on a.source = x.source and a.account_id = x.account_id
  left join links l on l.source = x.source and l.account_id = x.account_id
  left join specials s on s.source = x.source and s.account_id = x.account_id
  where s.kind is distinct from 'break_glass' and coalesce(a.can_sign_in, a.status not in ('disabled', 'deleted'), true)
),
by_source as (
  select conflict, person_id, alone, source, min(why) as why,
         bool_or(side = 'left' and sure) as left_sure, bool_or(side = 'right' and sure) as right_sure,
         bool_or(side = 'left') as left_held, bool_or(side = 'right') as right_held,
         min(case when side = 'left' and sure then told end) as left_told,
         min(case when side = 'right' and sure then told end) as right_told,
         min(case when side = 'left' then told end) as left_doubted,
         min(case when side = 'right' then told end) as right_doubted,
         min(concat(source, ' ', entitlement_id)) as first_held, max(concat(source, ' ', entitlement_id)) as last_held
  from held
  group by conflict, person_id, alone, source
),
by_holder as (
  select conflict, person_id, coalesce(person_id, concat(min(source), '/', alone)) as holder, alone, min(why) as why,
         bool_or(left_sure) and bool_or(right_sure) as sure,
         min(case when left_sure and right_sure then source end) as sure_inside,
         -- one entitlement without a name is not both sides at once: another source's makes the doubt
         min(case when left_held and right_held and (left_sure or right_sure or first_held <> last_held)
                  then source end) as inside,
         coalesce(min(left_told), min(left_doubted)) as left_told,
         coalesce(min(right_told), min(right_doubted)) as right_told
  from by_source
  group by conflict, person_id, alone, case when person_id is null then source end
  having bool_or(left_held) and bool_or(right_held)
     -- one entitlement without a name is not both sides at once
     and (bool_or(left_sure) or bool_or(right_sure) or min(first_held) <> max(last_held))
)
select b.conflict, b.holder, case when b.sure then b.sure_inside else b.inside end as source, b.person_id,
       case when b.sure then 'violation' else 'not_evaluable' end as verdict,
       concat(
         case when b.person_id is null then 'an account linked to nobody' else coalesce(p.full_name, b.person_id) end,
         case when b.sure then ' holds both sides of ' else ' may hold both sides of ' end, b.conflict, ': ',
         b.left_told, '; and ', b.right_told, case when b.why is null then '' else concat('; ', b.why) end
       ) as reason
from by_holder b
left join people p on p.person_id = b.person_id
