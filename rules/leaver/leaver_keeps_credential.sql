-- A key, token, secret or session that still works although its account is closed, or its owner has left.
with held as (
  select c.source, c.credential_id, c.account_id, c.kind, c.status, c.expires_at,
         a.account_id is not null as account_is_there, a.login, a.status as account_status,
         p.person_id, coalesce(p.full_name, p.person_id) as owner, p.ends_on,
         access_deadline(p.ends_on, p.time_zone, $grace) as deadline
  from credentials c
  left join accounts a on a.source = c.source and a.account_id = c.account_id
  left join links l on l.source = c.source and l.account_id = c.account_id
  left join people p on p.person_id = l.person_id
  where c.kind is null
     or c.kind in ('access_key', 'api_token', 'client_secret', 'certificate', 'ssh_key', 'service_credential',
                   'session', 'refresh_token')
),
judged as (
  select source, credential_id, account_id, kind, status, login, account_status, person_id, owner, ends_on,
         coalesce(status in ('inactive', 'expired', 'revoked'), false) or coalesce(expires_at <= $as_of, false) as dead,
         case
           when account_id is null then 'unknown'
           when not account_is_there then 'gone'
           when account_status in ('disabled', 'deleted') then account_status
           when deadline <= $as_of then 'left'
           when ends_on is not null and deadline is null then 'zone'
           when account_status is null then 'unknown'
           else 'open'
         end as cause
  from held
)
select source, credential_id, person_id,
       case
         when cause in ('unknown', 'zone') or kind is null or status is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       concat(
         coalesce(replace(kind, '_', ' '), 'credential of unknown kind'), ' ', credential_id,
         case when status is null then ' may be active' else ' is active' end, '; ',
         case cause
           when 'gone' then concat('its account ', account_id, ' is gone')
           when 'left' then
             concat(owner, ' left on ', strftime(ends_on, '%Y-%m-%d'), ' (account ', coalesce(login, account_id), ')')
           when 'zone' then concat(owner, ' left on ', strftime(ends_on, '%Y-%m-%d'), ' in an unknown time zone')
           when 'unknown' then
             case when account_id is null then 'its account is unknown'
                  else concat('the status of its account ', coalesce(login, account_id), ' is unknown') end
           else concat('its account ', coalesce(login, account_id), ' is ', account_status)
         end,
         case when owner is not null and cause <> 'left' and cause <> 'zone' then concat(' (', owner, ')') else '' end
       ) as reason
from judged
where not dead and cause <> 'open'
