-- An active key or secret that was not replaced within its rotation age.
with active as (
  select c.source, c.credential_id, c.account_id, c.kind, c.status, coalesce(c.rotated_at, c.created_at) as replaced_at,
         a.login
  from credentials c
  left join accounts a on a.source = c.source and a.account_id = c.account_id
  where (c.kind is null or list_contains($kinds, c.kind))
    and (c.status is null or c.status = 'active')
    and (c.expires_at is null or c.expires_at > $as_of)
)
select source, credential_id,
       case when replaced_at is null or status is null or kind is null then 'not_evaluable' else 'violation' end as verdict,
       concat(
         coalesce(replace(kind, '_', ' '), 'credential of unknown kind'), ' ', credential_id, ' of ',
         coalesce(login, account_id, 'an unknown account'),
         case
           when replaced_at is null then ': when it was created or replaced is unknown'
           else concat(' was last replaced on ', strftime(replaced_at, '%Y-%m-%d'), ' (UTC)')
         end,
         case when status is null then '; whether it is active is unknown' else '' end
       ) as reason
from active
where replaced_at is null or replaced_at < $as_of - $max_age
