-- An account that reaches a privileged entitlement and has no second factor enrolled.
with held as (
  select g.source, g.principal_id as account_id, bool_or(coalesce(n.privileged, false)) as privileged,
         min(case when n.privileged then n.path end) as path,
         min(case when n.privileged is null then n.path end) as doubted
  from nesting n
  join grants g on g.source = n.source and g.entitlement_id = n.held_id and g.principal_kind = 'account'
  where coalesce(n.privileged, true)
  group by g.source, g.principal_id
),
judged as (
  select a.source, a.account_id, coalesce(a.login, a.account_id) as name, a.mfa_enrolled, h.privileged, h.path, h.doubted,
         coalesce(a.can_sign_in, case when a.status = 'enabled' then true
                                      when a.status in ('disabled', 'deleted') then false end) as usable,
         coalesce(s.kind, case when a.kind in ('service', 'agent') then a.kind end) as non_human
  from accounts a
  left join held h on h.source = a.source and h.account_id = a.account_id
  left join specials s on s.source = a.source and s.account_id = a.account_id and s.kind in ('service', 'agent')
)
select source, account_id,
       case
         when privileged is null or not coalesce(usable, true) or non_human is not null then 'not_applicable'
         when not privileged or mfa_enrolled is null or usable is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when privileged is null then 'it holds nothing privileged'
         when not coalesce(usable, true) then 'it cannot sign in'
         when non_human is not null then concat('it is a ', non_human, ' account, which no second factor can prove')
         else concat(
           'account ', name, ' reaches ', coalesce(path, doubted),
           case when not privileged then ', of which nobody knows whether it is privileged' else '' end,
           case when mfa_enrolled is null then '; whether a second factor is enrolled is unknown'
                else '; no second factor is enrolled' end,
           case when usable is null then '; whether it can sign in is unknown' else '' end
         )
       end as reason
from judged
where privileged is null or not coalesce(usable, true) or non_human is not null or not coalesce(mfa_enrolled, false)
