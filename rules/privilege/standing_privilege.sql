-- A privileged grant to an account that neither ends by itself nor has to be called upon.
select g.source, g.principal_kind, g.principal_id, g.entitlement_id, g.assignment,
       case
         when g.principal_kind <> 'account' or not e.privileged or s.kind = 'break_glass' or a.account_id is not null
           then 'not_applicable'
         when e.privileged is null or s.account_id is not null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when g.principal_kind <> 'account' then 'it nests one entitlement in another'
         when not e.privileged then 'it is not privileged'
         when s.kind = 'break_glass' then 'its account is registered as break-glass'
         when a.account_id is not null then 'its account is disabled or deleted'
         else concat(
           'account ', coalesce(n.login, g.principal_id), ' holds ', coalesce(e.name, g.entitlement_id), ' (',
           replace(g.assignment, '_', ' '), ') without an end',
           case
             when e.entitlement_id is null then '; the entitlement is not among those reported, whether it is privileged is unknown'
             when e.privileged is null then '; whether it is privileged is unknown'
             else ''
           end,
           case when s.account_id is not null then '; its account is registered as special, whether as break-glass is unknown' else '' end
         )
       end as reason
from grants g
left join entitlements e on e.source = g.source and e.entitlement_id = g.entitlement_id
left join (select source, account_id, kind from specials where kind = 'break_glass' or kind is null) s
  on g.principal_kind = 'account' and s.source = g.source and s.account_id = g.principal_id
left join (
  select source, account_id from accounts
  where status in ('disabled', 'deleted') and not coalesce(can_sign_in, false)
) a on g.principal_kind = 'account' and a.source = g.source and a.account_id = g.principal_id
left join accounts n
  on g.principal_kind = 'account' and coalesce(e.privileged, true) and n.source = g.source and n.account_id = g.principal_id
where g.principal_kind <> 'account' or not coalesce(e.privileged, true) or s.kind = 'break_glass' or a.account_id is not null
   or (g.expires_at is null and g.assignment not in ('eligible', 'just_in_time'))
