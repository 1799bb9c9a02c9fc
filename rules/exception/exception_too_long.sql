-- An exception that lasts longer than the policy allows, or that was renewed too often.
with told as (
  select exception_id, lower(trim(status)) as word, approved_at, expires_at,
         concat_ws('|', coalesce(lower(trim(rule_id)), ''), coalesce(lower(trim(control_id)), ''),
                   coalesce(lower(trim(source)), ''), coalesce(lower(trim(account_id)), ''),
                   coalesce(lower(trim(person_id)), ''), coalesce(lower(trim(entitlement_id)), '')) as scope_key
  from exceptions
),
accepted as (
  select exception_id, scope_key, approved_at
  from told
  where scope_key <> '|||||'
    and not coalesce(list_contains($refused_statuses, word) or list_contains($pending_statuses, word), false)
),
counted as (
  select exception_id,
         -- among those with a date, the ones before this one
         case when approved_at is null then 0
              else rank() over (partition by scope_key order by approved_at nulls last) - 1 end as earlier,
         -- and those that may have been before it, since one of the two dates is unknown
         case when approved_at is null then count(*) over (partition by scope_key) - 1
              else count(*) over (partition by scope_key) - count(approved_at) over (partition by scope_key) end as undated
  from accepted
),
judged as (
  select t.exception_id, t.word, t.approved_at, t.expires_at,
         coalesce(t.expires_at > t.approved_at + $max_length, false) as too_long,
         coalesce(c.earlier > $max_renewals, false) as renewed,
         coalesce(c.earlier + c.undated > $max_renewals, false) as perhaps_renewed,
         case
           when list_contains($over_statuses, t.word) or list_contains($refused_statuses, t.word) then 'over'
           when t.expires_at < $as_of then 'ended'
           when list_contains($pending_statuses, t.word) then 'pending'
           when t.word is null or list_contains($in_force_words, t.word) then 'in force'
           else 'unknown'
         end as state
  from told t
  left join counted c on c.exception_id = t.exception_id
)
select exception_id,
       case
         when state in ('over', 'ended', 'pending') then 'not_applicable'
         when (too_long or renewed) and state = 'in force' then 'violation'
         when too_long or perhaps_renewed or (approved_at is null and expires_at is not null) then 'not_evaluable'
         else 'not_applicable'
       end as verdict,
       concat('exception ', exception_id,
              case
                when state = 'ended' then concat(' ended on ', strftime(expires_at, '%Y-%m-%d'))
                when state in ('over', 'pending') then concat(' is ', word)
                else concat(
                  case
                    when too_long then concat(' was accepted on ', strftime(approved_at, '%Y-%m-%d'), ' and lasts until ',
                                              strftime(expires_at, '%Y-%m-%d'))
                    when renewed then ''
                    when approved_at is null and expires_at is not null
                      then concat(' lasts until ', strftime(expires_at, '%Y-%m-%d'), '; when it was accepted is unknown')
                    when perhaps_renewed then ''
                    else ' has no end'
                  end,
                  case
                    when too_long and renewed then '; and'
                    else ''
                  end,
                  case
                    when renewed then concat(' follows more than ', $max_renewals, ' others for the same')
                    when perhaps_renewed and not too_long and (approved_at is not null or expires_at is null)
                      then concat(' follows, as far as dates are known, no more than ', $max_renewals,
                                  ' others for the same; when some of those were accepted is unknown')
                    else ''
                  end,
                  case when state = 'unknown' and (too_long or renewed)
                       then concat('; whether one that is ', word, ' is in force is unknown') else '' end)
              end) as reason
from judged
where state in ('over', 'ended', 'pending') or too_long or perhaps_renewed or approved_at is null or expires_at is null
