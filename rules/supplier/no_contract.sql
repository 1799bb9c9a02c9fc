-- A supplier's person or a guest can use an account that no contract stands behind.
with dated as (
  select contract_id, supplier_id, ends_on, lower(trim(status)) as word,
         -- no zone is two days from another: an unknown one decides between these two instants only
         coalesce(access_deadline(ends_on, time_zone, $grace),
                  access_deadline(ends_on - 2, cast(null as varchar), $grace)) as ends_early,
         coalesce(access_deadline(ends_on, time_zone, $grace),
                  access_deadline(ends_on + 2, cast(null as varchar), $grace)) as ends_late,
         coalesce(access_deadline(starts_on - 1, time_zone, to_hours(0)),
                  access_deadline(starts_on - 3, cast(null as varchar), to_hours(0))) as begins_early,
         coalesce(access_deadline(starts_on - 1, time_zone, to_hours(0)),
                  access_deadline(starts_on + 1, cast(null as varchar), to_hours(0))) as begins_late
  from contracts
),
stated as (
  select contract_id, supplier_id,
         case
           when list_contains($terminated_statuses, word) or ends_late <= $as_of or begins_early > $as_of
             or (ends_on is null and list_contains($ended_statuses, word)) then 'over'
           when ends_early <= $as_of or begins_late > $as_of or (ends_on is null and word is null) then 'unknown'
           else 'in force'
         end as state
  from dated
),
backed as (
  select supplier_id, bool_or(state = 'in force') as sure, min(case when state = 'unknown' then contract_id end) as perhaps
  from stated
  where supplier_id is not null
  group by supplier_id
),
nameless as (
  select min(contract_id) as contract_id from stated where supplier_id is null and state <> 'over'
),
mailing as (
  select m.domain, min(m.supplier_id) as supplier_id, bool_or(coalesce(b.sure, false)) as sure, min(b.perhaps) as perhaps
  from (
    select supplier_id, replace(lower(trim(u.raw)), '@', '') as domain
    from (select supplier_id, unnest(domains) as raw from suppliers) u
  ) m
  left join backed b on b.supplier_id = m.supplier_id
  where m.domain <> ''
  group by m.domain
),
undomained as (
  select min(s.supplier_id) as supplier_id
  from suppliers s
  left join backed b on b.supplier_id = s.supplier_id
  cross join nameless n
  where s.domains is null and (b.sure or b.perhaps is not null or n.contract_id is not null)
),
engaged as (
  select p.person_id, coalesce(p.full_name, p.person_id) as owner, p.supplier_id, p.contract_id,
         c.contract_id as known_contract, coalesce(b.sure, false) as sure, b.perhaps,
         case when p.supplier_id is not null or p.kind in ('contractor', 'supplier', 'external') then true
              when p.kind is not null then false end as external
  from people p
  left join contracts c on c.contract_id = p.contract_id
  left join backed b on b.supplier_id = p.supplier_id
),
judged as (
  select a.source, a.account_id, coalesce(a.login, a.account_id) as name, a.status, l.person_id as linked_to,
         e.owner, e.contract_id, e.external, m.supplier_id as by_domain, a.domain, n.contract_id as nameless_contract,
         u.supplier_id as undomained_supplier, coalesce(e.supplier_id, m.supplier_id) as supplier,
         coalesce(e.perhaps, m.perhaps) as perhaps,
         coalesce(a.can_sign_in, case when a.status = 'enabled' then true
                                      when a.status in ('disabled', 'deleted') then false end) as usable,
         case
           when e.person_id is not null then
             case
               when not e.external then 'inside'
               when e.known_contract is not null or e.sure then 'fine'
               when e.perhaps is not null then 'perhaps'
               when n.contract_id is not null and e.supplier_id is not null then 'nameless'
               when e.external is null then 'stranger'
               else 'none'
             end
           when s.account_id is not null then 'special'
           when a.kind not in ('guest', 'unknown') then 'nobody'
           when m.sure then 'fine'
           when a.kind is null or a.kind = 'unknown' then 'kindless'
           when a.domain is null then 'mailless'
           when m.perhaps is not null then 'perhaps'
           when m.domain is not null and n.contract_id is not null then 'nameless'
           when m.domain is null and u.supplier_id is not null then 'undomained'
           else 'none'
         end as cause
  from (
    select source, account_id, login, kind, status, can_sign_in,
           case when contains(email, '@') then lower(trim(split_part(email, '@', 2))) end as domain
    from accounts
  ) a
  left join links l on l.source = a.source and l.account_id = a.account_id
  left join engaged e on e.person_id = l.person_id
  left join specials s on s.source = a.source and s.account_id = a.account_id
  left join mailing m on m.domain = a.domain
  cross join nameless n
  cross join undomained u
)
select source, account_id, linked_to as person_id,
       case
         when cause in ('inside', 'special', 'nobody') then 'not_applicable'
         when cause = 'none' and usable then 'violation'
         else 'not_evaluable'
       end as verdict,
       case cause
         when 'inside' then concat(owner, ' is no supplier''s person')
         when 'special' then 'registered as special'
         when 'nobody' then 'neither a guest nor of a supplier''s person'
         else concat(
           coalesce(owner, concat('account ', name, ' is of nobody known')),
           case cause
             when 'perhaps' then concat('; whether contract ', perhaps, ' of supplier ', supplier, ' is in force is unknown')
             when 'nameless' then concat('; which supplier contract ', nameless_contract, ' is with is unknown')
             when 'stranger' then ' has no contract that is known; whether that is a supplier''s person is unknown'
             when 'kindless' then '; whether it is a guest is unknown'
             when 'mailless' then '; its mail domain is unknown'
             when 'undomained' then concat('; no supplier is known by ', domain, ', and the domains of supplier ',
                                           undomained_supplier, ' are unknown')
             else concat(
               case when contract_id is not null then concat(': contract ', contract_id, ' is not among the contracts')
                    when owner is not null then ' has no contract' end,
               case when supplier is not null then concat(case when contract_id is not null then ', and' else ';' end,
                                                          ' supplier ', supplier, ' has none in force')
                    when owner is null then concat('; no supplier is known by ', domain) end)
           end,
           case when owner is null then '; it' else concat('; account ', name) end,
           case when usable is null then ' may still sign in' else concat(' is ', coalesce(status, 'usable')) end
         )
       end as reason
from judged
where cause in ('inside', 'special', 'nobody') or (cause <> 'fine' and coalesce(usable, true))
