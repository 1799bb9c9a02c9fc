-- An exception in force whose review owner no longer works here.
with owned as (
  select e.exception_id, e.expires_at, lower(trim(e.status)) as word, nullif(trim(e.review_owner), '') as review_owner,
         p.person_id, coalesce(p.full_name, p.person_id) as owner, p.status as person_status, p.ends_on, p.time_zone,
         coalesce(list_contains($ended_statuses, lower(trim(p.status))), false) as said_to_have_left,
         access_deadline(p.ends_on, p.time_zone, to_hours(0)) as left_at,
         -- no zone is two days from another: before this instant an unknown one decides nothing
         access_deadline(p.ends_on - 2, cast(null as varchar), to_hours(0)) as earliest
  from exceptions e
  left join people p on p.person_id = nullif(trim(e.review_owner), '')
),
judged as (
  select exception_id, expires_at, word, review_owner, person_id, owner, person_status, ends_on, time_zone,
         case
           when list_contains($over_statuses, word) then 'over'
           when expires_at < $as_of then 'ended'
           when list_contains($pending_statuses, word) then 'pending'
           when review_owner is null then 'ownerless'
         end as outside,
         case
           when person_id is null then 'missing'
           when left_at <= $as_of then 'left'
           when said_to_have_left and ends_on is null then 'said'
           when said_to_have_left then 'contradicted'
           when left_at is null and earliest <= $as_of then 'zone'
         end as cause
  from owned
)
select exception_id, review_owner as person_id,
       case
         when outside is not null then 'not_applicable'
         when cause in ('left', 'said') and (word is null or list_contains($in_force_words, word)) then 'violation'
         else 'not_evaluable'
       end as verdict,
       concat('exception ', exception_id,
              case outside
                when 'ended' then concat(' ended on ', strftime(expires_at, '%Y-%m-%d'))
                when 'ownerless' then ' names no review owner'
                when 'over' then concat(' is ', word)
                when 'pending' then concat(' is ', word)
                else concat(
                  ': review owner ', coalesce(owner, review_owner),
                  case cause
                    when 'missing' then ' is not among the people'
                    when 'left' then concat(' left on ', strftime(ends_on, '%Y-%m-%d'))
                    when 'said' then concat(' is ', person_status, ', and no last day is known')
                    when 'contradicted' then concat(' is ', person_status, ', but the last day is ', strftime(ends_on, '%Y-%m-%d'))
                    else concat(' leaves on ', strftime(ends_on, '%Y-%m-%d'), ' in the unknown time zone ', time_zone)
                  end,
                  case when word is null or list_contains($in_force_words, word) then ''
                       else concat('; whether an exception that is ', word, ' is in force is unknown') end)
              end) as reason
from judged
where outside is not null or cause is not null
