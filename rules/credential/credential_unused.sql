-- A credential that works and that nobody has used for long.
with held as (
  select c.source, c.credential_id, c.account_id, c.kind, c.status, c.last_used_at, nullif(trim(c.last_used_basis), '') as basis,
         coalesce(c.created_at, c.rotated_at) as made_at, a.login, s.account_id is not null as registered, s.kind as special_kind,
         case
           when not list_contains($kinds, c.kind) then concat(replace(c.kind, '_', ' '), ' is no kind whose use is judged')
           when list_contains($spared_kinds, s.kind)
             then concat('its account is registered as special: ', replace(s.kind, '_', ' '))
         end as outside,
         (c.status is null or c.status = 'active') and (c.expires_at is null or c.expires_at > $as_of) as live
  from credentials c
  left join accounts a on a.source = c.source and a.account_id = c.account_id
  left join specials s on s.source = c.source and s.account_id = c.account_id
)
select source, credential_id,
       case
         when outside is not null then 'not_applicable'
         when basis is null or status is null or kind is null or (last_used_at is null and made_at is null)
           or (registered and special_kind is null) then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when outside is not null then outside
         else concat(
           coalesce(replace(kind, '_', ' '), 'credential of unknown kind'), ' ', credential_id, ' of ',
           coalesce(login, account_id, 'an unknown account'),
           case
             when last_used_at is not null then concat(' was last used on ', strftime(last_used_at, '%Y-%m-%d'), ' (UTC)')
             when made_at is null then ': neither its use nor its creation is known'
             when basis is null
               then concat(' was created on ', strftime(made_at, '%Y-%m-%d'), ' (UTC); whether it was used is unknown')
             else concat(' was created on ', strftime(made_at, '%Y-%m-%d'), ' (UTC), and no use of it is known')
           end,
           case
             when basis is not null then concat(' (', basis, ')')
             when last_used_at is not null then '; what that date is made of, and how far it may lag, is unknown'
             else ''
           end,
           case when status is null then '; whether it is active is unknown' else '' end,
           case when registered and special_kind is null then '; what special account it belongs to is unknown' else '' end
         )
       end as reason
from held
where outside is not null or (live and coalesce(coalesce(last_used_at, made_at) < $as_of - $unused_for, true))
