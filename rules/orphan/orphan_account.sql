-- A usable account that is linked to nobody, or to somebody whom no source of people lists, and that no register declares.
with unlinked as (
  select a.source, a.account_id, coalesce(a.login, a.display_name, a.account_id) as name, a.status, l.state, l.candidates,
         l.person_id as linked_to, r.account_id is not null as registered,
         coalesce(l.state = 'ambiguous', false) as ambiguous,
         coalesce(a.can_sign_in, case when a.status = 'enabled' then true
                                      when a.status in ('disabled', 'deleted') then false end) as usable
  from accounts a
  left join links l on l.source = a.source and l.account_id = a.account_id
  left join specials r on r.source = a.source and r.account_id = a.account_id
  left join people p on p.person_id = l.person_id
  where p.person_id is null
)
select source, account_id,
       case
         when registered or ambiguous then 'not_applicable'
         when usable is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       concat(
         'account ', name, ' is ',
         coalesce(status, case when usable then 'usable' else 'of unknown status' end), ' and linked to ',
         case when linked_to is null then 'nobody' else concat(linked_to, ', who is not among the people') end,
         case
           when registered then ', but registered as special'
           when state = 'ambiguous' then concat('; ambiguous: ', coalesce(array_to_string(candidates, ', '), 'several people'), ' fit')
           when state = 'proposed' then concat('; proposed: ', coalesce(array_to_string(candidates, ', '), 'somebody'), ' may fit')
           else '; no register of special accounts names it'
         end,
         case when usable is null then '; whether it can sign in is unknown' else '' end
       ) as reason
from unlinked
where coalesce(usable, true)
