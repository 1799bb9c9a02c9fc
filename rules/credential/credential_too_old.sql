-- An active key or secret that was not replaced within its rotation age.
with held as (
  select c.source, c.credential_id, c.account_id, c.kind, c.status, greatest(c.rotated_at, c.created_at) as replaced_at,
         a.login, coalesce(not list_contains($kinds, c.kind), false) as outside,
         (c.status is null or c.status = 'active') and (c.expires_at is null or c.expires_at > $as_of) as live
  from credentials c
  left join accounts a on a.source = c.source and a.account_id = c.account_id
)
select source, credential_id,
       case
         when outside then 'not_applicable'
         when replaced_at is null or status is null or kind is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when outside then concat(replace(kind, '_', ' '), ' is no kind that must be replaced in time')
         else concat(
           coalesce(replace(kind, '_', ' '), 'credential of unknown kind'), ' ', credential_id, ' of ',
           coalesce(login, account_id, 'an unknown account'),
           case
             when replaced_at is null then ': when it was created or replaced is unknown'
             else concat(' was last replaced on ', strftime(replaced_at, '%Y-%m-%d'), ' (UTC)')
           end,
           case when status is null then '; whether it is active is unknown' else '' end
         )
       end as reason
from held
where outside or (live and (replaced_at is null or replaced_at < $as_of - $max_age))
