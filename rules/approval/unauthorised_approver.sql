-- Who approved it did not hold a role that may approve when it was decided, or had left.
with entitled as (
  select role, person_id,
         -- a first day begins where the day before it ends; role_holders name no zone: the estate's
         access_deadline(since - 1, cast(null as varchar), to_hours(0)) as begins,
         access_deadline(until, cast(null as varchar), to_hours(0)) as ends
  from role_holders
  where list_contains($approver_roles, lower(trim(role)))
),
known as (
  select count(*) as holders from entitled
),
holding as (
  select a.approval_id, bool_or(e.begins <= a.decided_at and (e.ends is null or a.decided_at < e.ends)) as held,
         max(case when e.ends <= a.decided_at then e.ends end) as last_end
  from approvals a
  join entitled e on e.person_id = a.approved_by
  group by a.approval_id
),
judged as (
  select a.approval_id, a.kind, a.decision, a.decided_at, nullif(trim(a.approved_by), '') as approved_by,
         p.person_id is not null as known, coalesce(p.full_name, a.approved_by) as who, p.ends_on, p.time_zone,
         coalesce(h.held, false) as held, k.holders,
         access_deadline(p.ends_on, p.time_zone, to_hours(0)) <= a.decided_at as had_left,
         -- no zone is two days from another: before this instant an unknown one decides nothing
         access_deadline(p.ends_on - 2, cast(null as varchar), to_hours(0)) <= a.decided_at as perhaps_left,
         access_deadline(p.ends_on + 2, cast(null as varchar), to_hours(0)) <= a.decided_at as surely_left,
         concat(a.approval_id, coalesce(' for ' || a.entitlement, ''), coalesce(' in ' || a.system, '')) as shown,
         case
           when a.kind = 'termination' then 'it takes access away'
           when not list_contains($approved_words, lower(trim(a.decision))) then 'it approves nothing'
           when a.decided_at > $as_of then 'it is decided later'
         end as outside
  from approvals a
  cross join known k
  left join people p on p.person_id = a.approved_by
  left join holding h on h.approval_id = a.approval_id
),
weighed as (
  select approval_id, approved_by, outside, shown, who, decided_at, ends_on,
         coalesce(had_left, surely_left, false) as left_before,
         case
           when approved_by is null then 'who approved it is unknown'
           when kind is null then 'its kind is unknown'
           when decision is null then 'its decision is unknown'
           when decided_at is null then 'when it was decided is unknown'
           when holders = 0 then 'nobody is entered as a holder of a role that may approve'
           when coalesce(had_left, surely_left, false) then null
           when not held then null
           when not known then concat(approved_by, ' is not among the people')
           when ends_on is not null and had_left is null and perhaps_left
             then concat('the last day of ', who, ' is ', strftime(ends_on, '%Y-%m-%d'), ' in the unknown time zone ', time_zone)
         end as doubt,
         case when coalesce(had_left, surely_left, false) then false else held end as held
  from judged
)
select approval_id, approved_by as person_id,
       case
         when outside is not null then 'not_applicable'
         when doubt is not null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when outside is not null then outside
         when doubt is not null then concat('approval ', shown, ': ', doubt)
         when left_before then concat(who, ' approved ', shown, ' on ', strftime(decided_at, '%Y-%m-%d %H:%M'),
                                      ' after the last day, ', strftime(ends_on, '%Y-%m-%d'))
         else concat(who, ' approved ', shown, ' on ', strftime(decided_at, '%Y-%m-%d %H:%M'),
                     ' and held no role then that may approve')
       end as reason
from weighed
where outside is not null or doubt is not null or not held
