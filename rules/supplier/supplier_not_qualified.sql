-- A supplier's person or a guest can use an account, though the supplier is not, or no longer, qualified.
with rated as (
  select supplier_id, coalesce(name, supplier_id) as shown, status, qualified_until,
         case
           when list_contains($refused_statuses, status) then 'refused'
           when access_deadline(qualified_until, cast(null as varchar), $grace) <= $as_of then 'lapsed'
           when status is null then 'unknown'
         end as state
  from suppliers
),
mailing as (
  select m.domain, count(distinct m.supplier_id) as suppliers,
         coalesce(min(case when r.state is not null then m.supplier_id end), min(m.supplier_id)) as supplier_id
  from (
    select supplier_id, replace(lower(trim(u.raw)), '@', '') as domain
    from (select supplier_id, unnest(domains) as raw from suppliers) u
  ) m
  join rated r on r.supplier_id = m.supplier_id
  where m.domain <> ''
  group by m.domain
),
undomained as (
  select min(s.supplier_id) as supplier_id
  from suppliers s
  join rated r on r.supplier_id = s.supplier_id and r.state is not null
  where s.domains is null
),
engaged as (
  select p.person_id, coalesce(p.full_name, p.person_id) as owner, p.kind, c.contract_id,
         coalesce(p.supplier_id, c.supplier_id) as supplier_id,
         case when p.supplier_id is not null or p.kind in ('contractor', 'supplier', 'external') then true
              when p.kind is not null then false end as external
  from people p
  left join contracts c on c.contract_id = p.contract_id
),
placed as (
  select a.source, a.account_id, coalesce(a.login, a.account_id) as name, a.status, l.person_id as linked_to, e.owner,
         e.external, e.contract_id, m.suppliers, coalesce(e.supplier_id, m.supplier_id) as supplier_id, a.domain,
         coalesce(a.kind = 'guest', false) as guest, u.supplier_id as undomained_supplier,
         coalesce(a.can_sign_in, case when a.status = 'enabled' then true
                                      when a.status in ('disabled', 'deleted') then false end) as usable,
         case
           when not e.external then 'inside'
           when e.person_id is null and s.account_id is not null then 'special'
           when e.person_id is null and a.kind not in ('guest', 'unknown') then 'nobody'
           when e.person_id is null and m.domain is null
             and (a.kind is distinct from 'guest' or (a.domain is not null and u.supplier_id is null)) then 'nobody'
           when e.person_id is not null and e.supplier_id is null and e.contract_id is null then 'uncontracted'
         end as outside
  from (
    select source, account_id, login, kind, status, can_sign_in,
           case when contains(email, '@') then lower(trim(split_part(email, '@', 2))) end as domain
    from accounts
  ) a
  left join links l on l.source = a.source and l.account_id = a.account_id
  left join engaged e on e.person_id = l.person_id
  left join specials s on s.source = a.source and s.account_id = a.account_id
  left join mailing m on m.domain = a.domain and e.person_id is null
  cross join undomained u
)
select p.source, p.account_id, p.linked_to as person_id,
       case
         when p.outside is not null then 'not_applicable'
         when p.usable and r.state in ('refused', 'lapsed') and (p.external or (p.guest and p.suppliers = 1)) then 'violation'
         else 'not_evaluable'
       end as verdict,
       case
         when p.outside = 'inside' then concat(p.owner, ' is no supplier''s person')
         when p.outside = 'special' then 'registered as special'
         when p.outside = 'nobody' then 'of nobody known, and no guest from the domain of a supplier'
         when p.outside = 'uncontracted' then concat('neither contract nor supplier of ', p.owner, ' is known')
         else concat(
           case
             when p.supplier_id is null and p.owner is null and p.domain is null then 'its mail domain is unknown'
             when p.supplier_id is null and p.owner is null
               then concat('no supplier is known by ', p.domain, ', and the domains of supplier ', p.undomained_supplier, ' are unknown')
             when p.supplier_id is null then concat('which supplier contract ', p.contract_id, ' is with is unknown')
             when r.supplier_id is null then concat('supplier ', p.supplier_id, ' is not among the suppliers')
             when r.state = 'refused' then concat('supplier ', r.shown, ' is ', r.status)
             when r.state = 'lapsed' then concat('the qualification of supplier ', r.shown, ' ended on ',
                                                 strftime(r.qualified_until, '%Y-%m-%d'))
             else concat('whether supplier ', r.shown, ' is qualified is unknown')
           end,
           case when p.owner is not null and p.external is null
                then concat('; whether ', p.owner, ' is a supplier''s person is unknown')
                when p.suppliers > 1 then '; other suppliers have the same mail domain'
                when p.owner is null and not p.guest then '; whether it is a guest is unknown' else '' end,
           '; account ', p.name, case when p.owner is not null then concat(' of ', p.owner) else '' end,
           case when p.usable is null then ' may still sign in' else concat(' is ', coalesce(p.status, 'usable')) end
         )
       end as reason
from placed p
left join rated r on r.supplier_id = p.supplier_id
where p.outside is not null
   or (coalesce(p.usable, true) and (p.supplier_id is null or r.supplier_id is null or r.state is not null))
