-- A control whose latest test failed, or that was not tested in its time.
with done as (
  select control_id, test_id, performed_at, outcome,
         -- of two at one instant the worse counts
         row_number() over (
           partition by control_id
           order by performed_at desc,
                    case outcome when 'failed' then 1 when 'passed' then 3 else 2 end, test_id
         ) as place
  from control_tests
  where performed_at <= $as_of
),
undated as (
  select control_id, min(test_id) as test_id from control_tests where performed_at is null group by control_id
),
judged as (
  select c.control_id, c.title, c.owner_role, c.test_days, d.test_id, d.performed_at, d.outcome, u.test_id as undated,
         d.performed_at is null or date_diff('second', d.performed_at, $as_of) > c.test_days * 86400 as late
  from controls c
  left join done d on d.control_id = c.control_id and d.place = 1
  left join undated u on u.control_id = c.control_id
)
select control_id,
       case
         when outcome = 'failed' and undated is null then 'violation'
         when undated is not null then 'not_evaluable'
         when test_days is null and (test_id is null or outcome is not null) then 'not_applicable'
         when late then 'violation'
         else 'not_evaluable'
       end as verdict,
       concat(
         'control ', control_id, case when title is null then '' else concat(' (', title, ')') end,
         case
           when undated is not null then concat(': when test ', undated, ' was performed is unknown')
           when outcome = 'failed' then concat(': test ', test_id, ' failed on ', strftime(performed_at, '%Y-%m-%d'))
           when test_days is null and (test_id is null or outcome is not null) then ' asks for no test'
           when performed_at is null then ' was never tested'
           when late then concat(' was last tested on ', strftime(performed_at, '%Y-%m-%d'))
           when outcome is null then concat(': how test ', test_id, ' of ', strftime(performed_at, '%Y-%m-%d'), ' came out is unknown')
           else concat(': test ', test_id, ' of ', strftime(performed_at, '%Y-%m-%d'), ' came to no conclusion')
         end,
         case when owner_role is null then '' else concat('; owner: ', owner_role) end
       ) as reason
from judged
where undated is not null or outcome = 'failed' or test_days is null or late or outcome is null or outcome <> 'passed'
