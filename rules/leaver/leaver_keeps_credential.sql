-- A key, token, secret or session that still works although its account is closed, or its owner has left.
with held as (
  select c.source, c.credential_id, c.account_id, c.kind, c.status, c.expires_at,
         a.account_id is not null as account_is_there, a.login, a.status as account_status,
         p.person_id, coalesce(p.full_name, p.person_id) as owner, p.ends_on, p.status as person_status,
         access_deadline(p.ends_on, p.time_zone, $grace) as deadline,
         -- no zone is two days from another: before this instant an unknown one decides nothing
         access_deadline(p.ends_on - 2, cast(null as varchar), $grace) as earliest,
         coalesce(list_contains($ended_statuses, lower(trim(p.status))), false)
           and (p.ends_on is null
                or coalesce(access_deadline(p.ends_on - 1, p.time_zone, to_hours(0)),
                            access_deadline(p.ends_on - 1, cast(null as varchar), to_hours(0))) > $as_of) as contradicted,
         coalesce(c.kind not in ('access_key', 'api_token', 'client_secret', 'certificate', 'ssh_key', 'service_credential',
                                 'session', 'refresh_token'), false) as outside
  from credentials c
  left join accounts a on a.source = c.source and a.account_id = c.account_id
  left join links l on l.source = c.source and l.account_id = c.account_id
  left join people p on p.person_id = l.person_id
),
judged as (
  select source, credential_id, account_id, kind, status, login, account_status, person_id, owner, ends_on,
         person_status, outside, coalesce(status in ('inactive', 'expired', 'revoked'), false) or coalesce(expires_at <= $as_of, false) as dead,
         case
           when account_id is null then 'unknown'
           when not account_is_there then 'gone'
           when account_status in ('disabled', 'deleted') then account_status
           when deadline <= $as_of then 'left'
           when deadline is null and earliest <= $as_of then 'zone'
           when contradicted then 'said'
           when account_status is null then 'unknown'
           else 'open'
         end as cause
  from held
)
select source, credential_id, person_id,
       case
         when outside then 'not_applicable'
         when cause in ('unknown', 'zone', 'said') or kind is null or status is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when outside then concat(replace(kind, '_', ' '), ' is judged with the account')
         else concat(
           coalesce(replace(kind, '_', ' '), 'credential of unknown kind'), ' ', credential_id,
           case when status is null then ' may be active' else ' is active' end, '; ',
           case cause
             when 'gone' then concat('its account ', account_id, ' is gone')
             when 'left' then
               concat(owner, ' left on ', strftime(ends_on, '%Y-%m-%d'), ' (account ', coalesce(login, account_id), ')')
             when 'zone' then concat('the last day of ', owner, ' is ', strftime(ends_on, '%Y-%m-%d'), ' in an unknown time zone')
             when 'said' then
               concat(owner, ' is ', person_status,
                      case when ends_on is null then ', but no last day is known'
                           else concat(', but the last day is ', strftime(ends_on, '%Y-%m-%d')) end)
             when 'unknown' then
               case when account_id is null then 'its account is unknown'
                    else concat('the status of its account ', coalesce(login, account_id), ' is unknown') end
             else concat('its account ', coalesce(login, account_id), ' is ', account_status)
           end,
           case when owner is not null and cause not in ('left', 'zone', 'said') then concat(' (', owner, ')') else '' end
         )
       end as reason
from judged
where outside or (not dead and cause <> 'open')
