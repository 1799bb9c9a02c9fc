-- A usable account that is linked to nobody and that no register declares.
with names as (
  select source, account_id, lower(trim(account_id)) as name from accounts
  union all
  select source, account_id, lower(trim(login)) from accounts
  union all
  select source, account_id, lower(trim(json_extract_string(attributes, '$.dn')))
  from accounts where json_valid(attributes)
  union all
  select source, account_id, lower(trim(json_extract_string(attributes, '$.arn')))
  from accounts where json_valid(attributes)
),
registered as (
  select n.source, n.account_id
  from special_accounts s
  join names n on n.source = s.source and n.name = lower(trim(s.account_id))
  group by n.source, n.account_id
),
unlinked as (
  select a.source, a.account_id, coalesce(a.login, a.display_name, a.account_id) as name, a.status, l.state, l.candidates,
         r.account_id is not null as registered,
         coalesce(a.can_sign_in, case when a.status = 'enabled' then true
                                      when a.status in ('disabled', 'deleted') then false end) as usable
  from accounts a
  left join links l on l.source = a.source and l.account_id = a.account_id
  left join registered r on r.source = a.source and r.account_id = a.account_id
  where l.person_id is null
)
select source, account_id,
       case
         when registered then 'not_applicable'
         when usable is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       concat(
         'account ', name, ' is ',
         coalesce(status, case when usable then 'usable' else 'of unknown status' end), ' and linked to nobody',
         case
           when registered then ', but registered as special'
           when state = 'ambiguous' then concat('; ambiguous: ', array_to_string(candidates, ', '), ' fit')
           when state = 'proposed' then concat('; proposed: ', array_to_string(candidates, ', '), ' may fit')
           else '; no register of special accounts names it'
         end,
         case when usable is null then '; whether it can sign in is unknown' else '' end
       ) as reason
from unlinked
where coalesce(usable, true)
