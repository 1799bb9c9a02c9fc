-- A supplier's person holds an entitlement that the contract's scope does not name.
with engaged as (
  select p.person_id, coalesce(p.full_name, p.person_id) as owner, p.kind, p.supplier_id, p.contract_id as named_contract,
         c.contract_id, c.scope is not null as scoped,
         case when p.supplier_id is not null or p.kind in ('contractor', 'supplier', 'external') then true
              when p.kind is not null then false end as external
  from people p
  left join contracts c on c.contract_id = p.contract_id
),
terms as (
  select t.contract_id, t.wanted,
         case when regexp_matches(t.wanted, '[*?]') then
           -- LIKE, since a regular expression of each row's own would be compiled for each row
           replace(replace(replace(replace(replace(t.wanted, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_')
         end as pattern
  from (
    select contract_id, lower(trim(u.raw)) as wanted
    from (select contract_id, unnest(scope) as raw from contracts) u
  ) t
  where t.wanted <> ''
),
sized as (
  select contract_id, count(*) as entries from terms group by contract_id
),
held as not materialized (
  select g.source, g.principal_kind, g.principal_id, g.entitlement_id, g.assignment, l.person_id, e.owner, e.external,
         e.named_contract, e.contract_id, e.scoped, t.name,
         case
           when g.principal_kind <> 'account' then 'it nests one entitlement in another'
           when not list_contains($assignments, g.assignment) then concat('it is held by ', g.assignment, ' assignment')
           when t.membership = 'primary' then 'it is the account''s primary group'
           when t.membership = 'dynamic' and not list_contains($assignments, 'dynamic') then 'it follows from a rule'
           when s.account_id is not null then 'its account is registered as special'
           when l.person_id is null then 'its account is linked to nobody'
           when e.person_id is null then concat(l.person_id, ' is not among the people')
           when not e.external then concat(e.owner, ' is no supplier''s person')
           when e.named_contract is null and e.supplier_id is null then concat(e.owner, ' has no contract')
         end as outside
  from grants g
  left join entitlements t on t.source = g.source and t.entitlement_id = g.entitlement_id
  left join links l on g.principal_kind = 'account' and l.source = g.source and l.account_id = g.principal_id
  left join engaged e on e.person_id = l.person_id
  left join specials s on g.principal_kind = 'account' and s.source = g.source and s.account_id = g.principal_id
),
wanted as (
  select distinct contract_id, source, entitlement_id, lower(entitlement_id) as id_key, lower(trim(name)) as name_key
  from held
  where outside is null and contract_id is not null
),
covered as (
  select distinct w.contract_id, w.source, w.entitlement_id
  from wanted w
  join terms t on t.contract_id = w.contract_id
  where t.wanted = w.id_key or coalesce(t.wanted = w.name_key, false)
    or coalesce(w.id_key like t.pattern escape '\', false) or coalesce(w.name_key like t.pattern escape '\', false)
)
select h.source, h.principal_kind, h.principal_id, h.entitlement_id, h.assignment, h.person_id,
       case
         when h.outside is not null then 'not_applicable'
         when h.contract_id is null or not h.scoped or h.external is null or (h.name is null and z.entries > 0)
           then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when h.outside is not null then h.outside
         else concat(
           h.owner, ' holds ', coalesce(h.name, h.entitlement_id), ' by account ', coalesce(a.login, h.principal_id),
           case
             when h.named_contract is null then '; under which contract is unknown'
             when h.contract_id is null then concat('; contract ', h.named_contract, ' is not among the contracts')
             when not h.scoped then concat('; what contract ', h.contract_id, ' covers is unknown')
             when h.name is null and z.entries > 0
               then concat('; whether contract ', h.contract_id, ' covers it by its name, which is unknown, cannot be said')
             else concat('; contract ', h.contract_id, ' does not cover it')
           end,
           case when h.external is null then ', and whether that is a supplier''s person is unknown' else '' end
         )
       end as reason
from held h
left join covered c on c.contract_id = h.contract_id and c.source = h.source and c.entitlement_id = h.entitlement_id
left join sized z on z.contract_id = h.contract_id
left join accounts a on h.outside is null and a.source = h.source and a.account_id = h.principal_id
where h.outside is not null or c.contract_id is null
