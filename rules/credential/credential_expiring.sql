-- A client secret or certificate that expires soon, or that has expired and is still configured.
with held as (
  select c.source, c.credential_id, c.account_id, c.kind, c.status, c.expires_at, a.login,
         coalesce(not list_contains($kinds, c.kind), false) as outside,
         case
           when c.status in ('inactive', 'revoked') then false
           else coalesce(c.expires_at <= $as_of + $notice, true)
         end as due
  from credentials c
  left join accounts a on a.source = c.source and a.account_id = c.account_id
)
select source, credential_id,
       case
         when outside then 'not_applicable'
         when kind is null or status is null or (expires_at is null and status <> 'expired') then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when outside then concat(replace(kind, '_', ' '), ' is no kind whose end is judged')
         else concat(
           coalesce(replace(kind, '_', ' '), 'credential of unknown kind'), ' ', credential_id, ' of ',
           coalesce(login, account_id, 'an unknown account'),
           case
             when expires_at is null and status = 'expired' then ' has expired and is still configured'
             when expires_at is null then ': when it expires is unknown'
             when expires_at <= $as_of or status = 'expired'
               then concat(' expired on ', strftime(expires_at, '%Y-%m-%d'), ' (UTC) and is still configured')
             else concat(' expires on ', strftime(expires_at, '%Y-%m-%d'), ' (UTC)')
           end,
           case when status is null then '; whether it is active is unknown' else '' end
         )
       end as reason
from held
where outside or due or status = 'expired'
