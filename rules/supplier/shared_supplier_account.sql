-- A supplier's account that several people share: several records claim it, or its mailbox is nobody's own.
with engaged as (
  select person_id, coalesce(full_name, person_id) as owner,
         case when supplier_id is not null or kind in ('contractor', 'supplier', 'external') then true
              when kind is not null then false end as external
  from people
),
claimed as (
  select c.source, c.account_id, c.candidate, e.external
  from (
    select source, account_id, unnest(candidates) as candidate
    from links
    where person_id is null and state = 'ambiguous'
  ) c
  left join engaged e on e.person_id = c.candidate
),
shared as (
  select source, account_id, string_agg(candidate, ', ' order by candidate) as people,
         max(case when external then 1 else 0 end) as outsiders, max(case when external is null then 1 else 0 end) as strangers
  from claimed
  group by source, account_id
  having count(distinct candidate) > 1
),
judged as (
  select a.source, a.account_id, coalesce(a.login, a.account_id) as name, a.status, a.address, l.person_id, e.owner, c.people,
         case
           when s.account_id is not null then 'special'
           when a.kind = 'guest' and (e.person_id is null or e.external is null) then 'supplier'
           when e.external or c.outsiders = 1 then 'supplier'
           when c.strangers = 1 or (e.person_id is not null and e.external is null)
             or (e.person_id is null and c.people is null and (a.kind is null or a.kind = 'unknown')) then 'perhaps'
           else 'inside'
         end as whose,
         coalesce(a.can_sign_in, case when a.status = 'enabled' then true
                                      when a.status in ('disabled', 'deleted') then false end) as usable,
         -- every word of the local part is a generic one: support, it-support, but not ada.admin
         list_contains($generic_words, split_part(a.words, ' ', 1))
           and (split_part(a.words, ' ', 2) = '' or list_contains($generic_words, split_part(a.words, ' ', 2)))
           and (split_part(a.words, ' ', 3) = '' or list_contains($generic_words, split_part(a.words, ' ', 3)))
           and split_part(a.words, ' ', 4) = '' as generic
  from (
    select source, account_id, login, kind, status, can_sign_in, address,
           replace(replace(replace(replace(lower(trim(split_part(address, '@', 1))), '.', ' '), '_', ' '), '-', ' '), '+', ' ')
             as words
    from (
      select source, account_id, login, kind, status, can_sign_in,
             -- a guest's login in the host's directory is no address of its own
             coalesce(email, case when not contains(lower(login), '#ext#') then login end) as address
      from accounts
    ) named
  ) a
  left join links l on l.source = a.source and l.account_id = a.account_id
  left join engaged e on e.person_id = l.person_id
  left join shared c on c.source = a.source and c.account_id = a.account_id
  left join specials s on s.source = a.source and s.account_id = a.account_id
)
select source, account_id, person_id,
       case
         when whose in ('special', 'inside') then 'not_applicable'
         when whose = 'supplier' and usable and (generic or people is not null) then 'violation'
         else 'not_evaluable'
       end as verdict,
       case whose
         when 'special' then 'registered as special'
         when 'inside' then 'neither a guest nor of a supplier''s person'
         else concat(
           'account ', name, case when owner is not null then concat(' of ', owner) else '' end,
           case
             when people is not null then concat(' fits ', people)
             when generic then concat(' has the mailbox of no one person: ', address)
             else ' has no address that is known'
           end,
           case when whose = 'perhaps' then '; whether it is a supplier''s is unknown' else '' end,
           case when usable is null then '; it may still sign in' else concat('; it is ', coalesce(status, 'usable')) end
         )
       end as reason
from judged
where whose in ('special', 'inside')
   or (coalesce(usable, true) and (people is not null or coalesce(generic, whose = 'supplier')))
