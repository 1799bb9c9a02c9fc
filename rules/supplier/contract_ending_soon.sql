-- A supplier's contract ends within the notice; what hangs on it must be renewed or taken away.
with dated as (
  select contract_id, supplier_id, status, ends_on, time_zone,
         coalesce(list_contains($terminated_statuses, lower(trim(status))), false)
           or (ends_on is null and coalesce(list_contains($ended_statuses, lower(trim(status))), false)) as said_to_be_over,
         access_deadline(ends_on, time_zone, to_hours(0)) as ends_at,
         -- no zone is two days from another: an unknown one decides between these two instants only
         coalesce(access_deadline(ends_on, time_zone, to_hours(0)),
                  access_deadline(ends_on - 2, cast(null as varchar), to_hours(0))) as ends_early,
         coalesce(access_deadline(ends_on, time_zone, to_hours(0)),
                  access_deadline(ends_on + 2, cast(null as varchar), to_hours(0))) as ends_late
  from contracts
)
select contract_id,
       case
         when said_to_be_over or ends_late <= $as_of then 'not_applicable'
         when ends_at is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       concat('contract ', contract_id,
              case when supplier_id is not null then concat(' of supplier ', supplier_id) else '' end,
              case
                when said_to_be_over then concat(' is ', lower(trim(status)))
                when ends_on is null then ' has neither an end nor a status'
                when ends_late <= $as_of then concat(' ended on ', strftime(ends_on, '%Y-%m-%d'))
                when ends_at is null
                  then concat(' ends on ', strftime(ends_on, '%Y-%m-%d'), ' in the unknown time zone ', time_zone)
                else concat(' ends on ', strftime(ends_on, '%Y-%m-%d'))
              end) as reason
from dated
where said_to_be_over or ends_early <= $as_of + $notice or (ends_on is null and status is null)
