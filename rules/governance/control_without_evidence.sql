-- A control for which no rule was evaluated, and no test passed, in the time that its evidence lasts.
with evidence as (
  select r.control_id, concat('rule ', r.rule_id, ' was last evaluated') as what, e.evaluated_at as happened_at,
         e.evaluated_at is null as undated
  from control_rules r
  join rule_evaluations e on e.rule_id = r.rule_id
  union all
  select control_id, concat('test ', test_id, ' was last passed'), performed_at, performed_at is null
  from control_tests
  where outcome = 'passed'
),
latest as (
  select v.control_id, max(v.happened_at) as happened_at, bool_or(v.undated) as undated,
         max(case when v.happened_at is not null
               then concat(strftime(v.happened_at, '%Y-%m-%d %H:%M'), ' ', v.what) end) as told
  from evidence v
  where v.happened_at is null or v.happened_at <= $as_of
  group by v.control_id
),
ruled as (
  select control_id, count(*) as rules from control_rules group by control_id
),
judged as (
  select c.control_id, coalesce(c.title, c.control_id) as title, c.evidence_days, c.owner_role, l.told, l.happened_at,
         coalesce(l.undated, false) as undated, coalesce(r.rules, 0) as rules,
         (select count(*) from rule_evaluations) = 0 as first_night
  from controls c
  left join latest l on l.control_id = c.control_id
  left join ruled r on r.control_id = c.control_id
)
select control_id,
       case
         when evidence_days is null or undated or (rules > 0 and first_night) then 'not_evaluable'
         else 'violation'
       end as verdict,
       concat(
         'control ', control_id, case when title <> control_id then concat(' (', title, ')') else '' end,
         case
           when evidence_days is null then ': how long its evidence lasts is unknown'
           when undated then ': when it was last shown to work is unknown'
           when rules > 0 and first_night then ': of its rules no earlier evaluation is known'
           when told is not null then concat(': ', substr(told, 18), ' on ', left(told, 16), ' (UTC)')
           when rules = 0 then ' has no rule, and no test of it was passed'
           else ': none of its rules was ever evaluated, and no test of it was passed'
         end,
         case when owner_role is null then '' else concat('; owner: ', owner_role) end
       ) as reason
from judged
where evidence_days is null
   or happened_at is null
   or date_diff('second', happened_at, $as_of) > evidence_days * 86400
