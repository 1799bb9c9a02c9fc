-- A usable account that nobody has signed in with for too long, by a figure whose basis is stated.
with known as (
  select a.source, a.account_id, coalesce(a.login, a.account_id) as name, a.created_at, a.last_sign_in_at,
         a.last_sign_in_basis as basis, s.account_id is not null as special,
         -- a basis that says so itself: there was no sign-in at all
         coalesce(a.last_sign_in_at is null and regexp_matches(lower(a.last_sign_in_basis), $never), false) as never,
         coalesce(a.can_sign_in, case when a.status = 'enabled' then true
                                      when a.status in ('disabled', 'deleted') then false end) as usable
  from accounts a
  left join specials s on s.source = a.source and s.account_id = a.account_id
),
judged as (
  select source, account_id, name, created_at, last_sign_in_at, basis, special, never, usable,
         -- the later of the two: an account that is younger than the limit cannot have slept longer
         case
           when last_sign_in_at is null and not never then created_at
           when created_at is null then last_sign_in_at
           else greatest(created_at, coalesce(last_sign_in_at, created_at))
         end as since
  from known
)
select source, account_id,
       case
         when special or not coalesce(usable, true) then 'not_applicable'
         when since is null or basis is null or (last_sign_in_at is null and not never) or usable is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when special then 'it is registered as special'
         when not coalesce(usable, true) then 'it cannot sign in'
         else concat(
           'account ', name,
           case
             when last_sign_in_at is not null then concat(' last signed in on ', strftime(last_sign_in_at, '%Y-%m-%d'))
             when never then ' has no sign-in on record'
             else ': its last sign-in is unknown'
           end,
           case when created_at is null then '; when it was created is unknown'
                when last_sign_in_at is null then concat('; created on ', strftime(created_at, '%Y-%m-%d')) else '' end,
           case when basis is null then '; what that figure counts is unknown' else concat('; basis: ', basis) end,
           case when usable is null then '; whether it can sign in is unknown' else '' end
         )
       end as reason
from judged
where special or not coalesce(usable, true) or since is null or since < $as_of - $max_idle - $lag
