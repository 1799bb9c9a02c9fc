-- An account that can still be used after its owner's access has ended.
with owned as (
  select a.source, a.account_id, a.login, a.status, l.person_id as linked_to,
         coalesce(a.can_sign_in, case when a.status = 'enabled' then true
                                      when a.status in ('disabled', 'deleted') then false end) as usable,
         p.person_id, coalesce(p.full_name, p.person_id) as owner, p.ends_on, p.time_zone, p.status as person_status,
         access_deadline(p.ends_on, p.time_zone, $grace) as deadline,
         -- no zone is two days from another: before this instant an unknown one decides nothing
         access_deadline(p.ends_on - 2, cast(null as varchar), $grace) as earliest,
         -- said to have left though the last day is unknown, or has not even begun
         coalesce(list_contains($ended_statuses, lower(trim(p.status))), false)
           and (p.ends_on is null
                or coalesce(access_deadline(p.ends_on - 1, p.time_zone, to_hours(0)),
                            access_deadline(p.ends_on - 1, cast(null as varchar), to_hours(0))) > $as_of) as contradicted
  from accounts a
  left join links l on l.source = a.source and l.account_id = a.account_id
  left join people p on p.person_id = l.person_id
)
select source, account_id, linked_to as person_id,
       case
         when person_id is null then 'not_applicable'
         when deadline is null or usable is null or contradicted then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when linked_to is null then 'linked to nobody'
         when person_id is null then concat(linked_to, ' is not among the people')
         when ends_on is null then
           concat('account ', coalesce(login, account_id), ': ', owner, ' is ', person_status, ', but no last day is known')
         when contradicted then
           concat('account ', coalesce(login, account_id), ': ', owner, ' is ', person_status, ', but the last day is ',
                  strftime(ends_on, '%Y-%m-%d'))
         when deadline is null then
           concat('account ', coalesce(login, account_id), ': the last day of ', owner, ' is ',
                  strftime(ends_on, '%Y-%m-%d'), ' in the unknown time zone ', time_zone)
         when usable is null then
           concat(owner, ' left on ', strftime(ends_on, '%Y-%m-%d'), '; whether account ', coalesce(login, account_id),
                  ' can still sign in is unknown')
         else
           concat(owner, ' left on ', strftime(ends_on, '%Y-%m-%d'), '; account ', coalesce(login, account_id),
                  ' is still ', coalesce(status, 'usable'))
       end as reason
from owned
where person_id is null
   or (coalesce(usable, true)
       and (deadline <= $as_of or contradicted or (deadline is null and earliest <= $as_of)))
