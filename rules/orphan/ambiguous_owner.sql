-- A usable account that two or more people fit, so that it belongs to none of them.
with claimed as (
  select c.source, c.account_id, count(distinct c.candidate) as people,
         max(case when p.supplier_id is not null or p.kind in ('contractor', 'supplier', 'external') then 1 else 0 end) as outsiders
  from (
    select source, account_id, unnest(candidates) as candidate
    from links
    where person_id is null and state = 'ambiguous'
  ) c
  left join people p on p.person_id = c.candidate
  group by c.source, c.account_id
),
doubtful as (
  select l.source, l.account_id, a.login, a.status, l.candidates, s.account_id is not null as registered,
         coalesce(c.people > 1 and (a.kind = 'guest' or c.outsiders = 1), false) as suppliers,
         coalesce(a.can_sign_in, case when a.status = 'enabled' then true
                                      when a.status in ('disabled', 'deleted') then false end) as usable
  from links l
  join accounts a on a.source = l.source and a.account_id = l.account_id
  left join specials s on s.source = l.source and s.account_id = l.account_id
  left join claimed c on c.source = l.source and c.account_id = l.account_id
  where l.state = 'ambiguous' and l.person_id is null
)
select a.source, a.account_id,
       case
         when d.account_id is null or d.registered or d.suppliers then 'not_applicable'
         when d.usable is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when d.account_id is null then 'linked to nobody, or to nobody yet; no two people fit'
         when d.registered then 'it is registered as special'
         when d.suppliers then 'a guest, or a supplier''s person among those who fit: it is judged as a shared supplier account'
         else concat(
           'account ', coalesce(d.login, a.account_id), ' is ',
           coalesce(d.status, case when d.usable then 'usable' else 'of unknown status' end), '; ',
           coalesce(array_to_string(d.candidates, ', '), 'several people'), ' fit and none is confirmed',
           case when d.usable is null then '; whether it can sign in is unknown' else '' end
         )
       end as reason
from accounts a
left join links l on l.source = a.source and l.account_id = a.account_id
left join doubtful d on d.source = a.source and d.account_id = a.account_id
where (l.person_id is null and d.account_id is null) or d.registered or d.suppliers
   or (d.account_id is not null and coalesce(d.usable, true))
