-- A governance role that something relies on, or that somebody held, and that no active person holds now.
with terms as (
  select lower(trim(h.role)) as role, h.person_id, h.since, h.until, p.person_id as known, p.status, p.ends_on, p.time_zone,
         coalesce(p.full_name, h.person_id) as name,
         access_deadline(h.since - 1, cast(null as varchar), to_hours(0)) as begins,
         access_deadline(h.until, cast(null as varchar), to_hours(0)) as term_over,
         access_deadline(p.ends_on, p.time_zone, to_hours(0)) as deadline,
         -- no zone is two days from another: before this instant an unknown one decides nothing
         access_deadline(p.ends_on - 2, cast(null as varchar), to_hours(0)) as earliest,
         coalesce(list_contains($ended_statuses, lower(trim(p.status))), false) as said_to_have_left
  from role_holders h
  left join people p on p.person_id = h.person_id
),
weighed as (
  select role, name,
         case
           when begins > $as_of or term_over <= $as_of or known is null or deadline <= $as_of
             -- that a person has left is a fact, though nobody says since when
             or (said_to_have_left and ends_on is null) then 'gone'
           when said_to_have_left or (ends_on is not null and deadline is null and earliest <= $as_of) then 'unknown'
           else 'active'
         end as state,
         concat(
           name,
           case
             when begins > $as_of then concat(' begins on ', strftime(since, '%Y-%m-%d'))
             when term_over <= $as_of then concat(' held it until ', strftime(until, '%Y-%m-%d'))
             when known is null then ' is not among the people'
             when deadline <= $as_of then concat(' left on ', strftime(ends_on, '%Y-%m-%d'))
             when said_to_have_left and ends_on is null then concat(' is ', status, ', and no last day is known')
             when said_to_have_left then concat(' is ', status, ', but the last day is ', strftime(ends_on, '%Y-%m-%d'))
             else concat(' leaves on ', coalesce(strftime(ends_on, '%Y-%m-%d'), 'no day that is known'),
                         ' in the unknown time zone ', coalesce(time_zone, 'of the estate'))
           end
         ) as told,
         -- who came last says most
         row_number() over (partition by role order by since desc, person_id) as place
  from terms
),
held as (
  select role, bool_or(state = 'active') as active, bool_or(state = 'unknown') as unknown,
         min(case when state = 'unknown' then told end) as doubt, min(case when place = 1 then told end) as last_told
  from weighed
  group by role
)
select r.role,
       case
         when r.named_by is null then 'not_applicable'
         when coalesce(h.unknown, false) then 'not_evaluable'
         else 'violation'
       end as verdict,
       concat(
         'role ', r.name, case when r.named_by is null then '' else concat(' of ', r.named_by) end,
         case
           when r.named_by is null then ' is needed by nothing'
           when h.role is null then ': nobody ever held it'
           else concat(': ', coalesce(h.doubt, h.last_told))
         end
       ) as reason
from governance_roles r
left join held h on h.role = r.role
where r.named_by is null or not coalesce(h.active, false)
