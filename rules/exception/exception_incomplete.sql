-- An exception in force that lacks its end, its scope, its review owner or its compensating control.
with told as (
  select exception_id, lower(trim(status)) as word, expires_at, review_owner, compensating_control,
         concat(trim(source), trim(account_id), trim(person_id), trim(entitlement_id)) as subject,
         concat(trim(rule_id), trim(control_id)) as excepted
  from exceptions
),
judged as (
  select exception_id, word, expires_at,
         case
           when list_contains($over_statuses, word) then 'over'
           when expires_at < $as_of then 'ended'
           when list_contains($pending_statuses, word) then 'pending'
           when word is null or list_contains($in_force_words, word) then 'in force'
           else 'unknown'
         end as state,
         concat(case when expires_at is null then ', its end' else '' end,
                case when excepted = '' then ', the rule or control it excepts from' else '' end,
                case when subject = '' then ', whom or what it covers' else '' end,
                case when review_owner is null or trim(review_owner) = '' then ', its review owner' else '' end,
                case when compensating_control is null or trim(compensating_control) = '' then ', its compensating control'
                     else '' end) as lacking
  from told
)
select exception_id,
       case when state in ('over', 'ended', 'pending') then 'not_applicable'
            when state = 'unknown' then 'not_evaluable'
            else 'violation' end as verdict,
       concat('exception ', exception_id,
              case state
                when 'ended' then concat(' ended on ', strftime(expires_at, '%Y-%m-%d'))
                when 'over' then concat(' is ', word)
                when 'pending' then concat(' is ', word)
                else concat(' lacks ', substr(lacking, 3),
                            case when state = 'unknown' then concat('; whether one that is ', word, ' is in force is unknown')
                                 else '' end)
              end) as reason
from judged
where state in ('over', 'ended', 'pending') or lacking <> ''
