-- More of a supplier's people can use accounts than the contract allows.
with working as (
  select p.contract_id, p.person_id,
         bool_or(coalesce(a.usable and (p.supplier_id is not null or p.kind is not null), false)) as sure
  from people p
  join links l on l.person_id = p.person_id
  join (
    select source, account_id,
           coalesce(can_sign_in, case when status = 'enabled' then true
                                      when status in ('disabled', 'deleted') then false end) as usable
    from accounts
  ) a on a.source = l.source and a.account_id = l.account_id
  where p.contract_id is not null and coalesce(a.usable, true)
    and (p.supplier_id is not null or p.kind is null or p.kind in ('contractor', 'supplier', 'external'))
  group by p.contract_id, p.person_id
),
counted as (
  select contract_id, count(*) as people, count(case when sure then 1 end) as certain
  from working
  group by contract_id
)
select c.contract_id, cast(null as varchar) as source,
       case when n.certain > c.headcount then 'violation' else 'not_evaluable' end as verdict,
       concat('contract ', c.contract_id,
              case when c.supplier_id is not null then concat(' of supplier ', c.supplier_id) else '' end,
              case when c.headcount is null then ' has no headcount that is known'
                   else concat(' has the headcount ', c.headcount) end,
              '; people with usable accounts: ', n.certain,
              case when n.people > n.certain and (c.headcount is null or n.certain <= c.headcount)
                   then concat(', and perhaps ', n.people - n.certain, ' more') else '' end) as reason
from contracts c
join counted n on n.contract_id = c.contract_id
where c.headcount is null or n.people > c.headcount
