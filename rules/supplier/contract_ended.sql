-- A supplier's person whose contract has ended still has a usable account.
with engaged as (
  select p.person_id, coalesce(p.full_name, p.person_id) as owner, p.kind is not null or p.supplier_id is not null as sure,
         p.contract_id, c.contract_id as known_contract,
         c.ends_on, c.time_zone, c.status, access_deadline(c.ends_on, c.time_zone, $grace) as deadline,
         -- no zone is two days from another: before this instant an unknown one decides nothing
         access_deadline(c.ends_on - 2, cast(null as varchar), $grace) as earliest,
         -- a known last day decides, unless the contract was ended before it
         coalesce(list_contains($terminated_statuses, lower(trim(c.status))), false)
           or (c.ends_on is null and coalesce(list_contains($ended_statuses, lower(trim(c.status))), false)) as said_to_have_ended
  from people p
  left join contracts c on c.contract_id = p.contract_id
  where (p.kind is null or p.kind in ('supplier', 'contractor', 'external') or p.supplier_id is not null)
    and p.contract_id is not null
),
over as (
  select person_id, owner, sure, contract_id, ends_on, time_zone, status,
         case
           when known_contract is null then 'missing'
           when deadline <= $as_of then 'ended'
           when said_to_have_ended then 'said'
           when deadline is null and earliest <= $as_of then 'zone'
           when ends_on is null and status is null then 'unknown'
         end as cause
  from engaged
)
select a.source, a.account_id, o.person_id,
       case
         when o.person_id is null then 'not_applicable'
         when o.cause in ('missing', 'zone', 'unknown') or not o.sure or a.usable is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when o.person_id is null then 'no supplier''s person with a contract owns it'
         else concat(
           'contract ', o.contract_id, ' of ', o.owner,
           case o.cause
             when 'missing' then ' is not among the contracts'
             when 'ended' then concat(' ended on ', strftime(o.ends_on, '%Y-%m-%d'))
             when 'said' then concat(' is ', lower(trim(o.status)))
             when 'zone' then concat(' ends on ', strftime(o.ends_on, '%Y-%m-%d'), ' in the unknown time zone ', o.time_zone)
             else ' has neither an end nor a status'
           end,
           case when not o.sure then '; whether that is a supplier''s person is unknown' else '' end,
           '; account ', coalesce(a.login, a.account_id),
           case when a.usable is null then ' may still sign in' else concat(' is still ', coalesce(a.status, 'usable')) end
         )
       end as reason
from (
  select source, account_id, login, status,
         coalesce(can_sign_in, case when status = 'enabled' then true
                                    when status in ('disabled', 'deleted') then false end) as usable
  from accounts
) a
left join links l on l.source = a.source and l.account_id = a.account_id
left join over o on o.person_id = l.person_id
where o.person_id is null or (o.cause is not null and coalesce(a.usable, true))
