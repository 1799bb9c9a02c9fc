-- A privileged entitlement that an account reaches only through deep nesting, where nobody sees it.
with deep as (
  select g.source, g.principal_id as account_id, n.entitlement_id, n.privileged,
         arg_min(n.path, row(n.depth, n.path)) as path
  from nesting n
  join grants g on g.source = n.source and g.entitlement_id = n.held_id and g.principal_kind = 'account'
  where coalesce(n.privileged, true)
  group by g.source, g.principal_id, n.entitlement_id, n.privileged
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
