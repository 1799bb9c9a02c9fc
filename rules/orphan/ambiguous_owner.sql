-- A usable account that two or more people fit, so that it belongs to none of them.
with doubtful as (
  select l.source, l.account_id, a.login, a.status, l.candidates, l.state, s.account_id is not null as registered,
         coalesce(a.can_sign_in, case when a.status = 'enabled' then true
                                      when a.status in ('disabled', 'deleted') then false end) as usable
  from links l
  join accounts a on a.source = l.source and a.account_id = l.account_id
  left join specials s on s.source = l.source and s.account_id = l.account_id
  where l.state = 'ambiguous' and l.person_id is null
)
select a.source, a.account_id,
       case
         when d.account_id is null or d.registered then 'not_applicable'
         when d.usable is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when d.account_id is null then 'linked to nobody, or to nobody yet; no two people fit'
         when d.registered then 'it is registered as special'
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
where (l.person_id is null and d.account_id is null) or d.registered or (d.account_id is not null and coalesce(d.usable, true))
