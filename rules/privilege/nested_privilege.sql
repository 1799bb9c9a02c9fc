-- A privileged entitlement that an account reaches only through deep nesting, where nobody sees it.
with powerful as (
  select source, entitlement_id, privileged
  from entitlements
  where coalesce(privileged, true)
  union all
  -- held, but not listed by its source: of unknown power
  select g.source, g.entitlement_id, cast(null as boolean)
  from (select distinct source, entitlement_id from grants) g
  left join entitlements e on e.source = g.source and e.entitlement_id = g.entitlement_id
  where e.entitlement_id is null
),
deep as (
  select g.source, g.principal_id as account_id, p.entitlement_id, p.privileged,
         arg_min(n.path, row(n.depth, n.path)) as path
  from powerful p
  join nesting n on n.source = p.source and n.entitlement_id = p.entitlement_id
  join grants g on g.source = n.source and g.entitlement_id = n.held_id and g.principal_kind = 'account'
  group by g.source, g.principal_id, p.entitlement_id, p.privileged
  having min(n.depth) > $max_depth
)
select a.source, a.account_id, d.entitlement_id,
       case
         when not coalesce(a.usable, true) then 'not_applicable'
         when d.privileged is null or a.usable is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       concat(
         'account ', coalesce(a.login, a.account_id), ' reaches ', d.path,
         case when not coalesce(a.usable, true) then '; it cannot sign in' else '' end,
         case when d.privileged is null then '; whether what it reaches is privileged is unknown' else '' end,
         case when a.usable is null then '; whether it can sign in is unknown' else '' end
       ) as reason
from deep d
join (
  select source, account_id, login,
         coalesce(can_sign_in, case when status = 'enabled' then true
                                    when status in ('disabled', 'deleted') then false end) as usable
  from accounts
) a on a.source = d.source and a.account_id = d.account_id
