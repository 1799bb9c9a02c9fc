-- Two of those who take part in an approval, and whom policy keeps apart, are one person.
with roles as (
  select approval_id, person_id, 'subject' as role, person_id as who from approvals
  union all
  select approval_id, person_id, 'requester', requested_by from approvals
  union all
  select approval_id, person_id, 'approver', approved_by from approvals
  union all
  select approval_id, person_id, 'executor', executed_by from approvals
),
pairs as (
  select one.approval_id, concat(one.role, '/', other.role) as pair, one.role as left_role, other.role as right_role,
         nullif(trim(one.who), '') as left_who, nullif(trim(other.who), '') as right_who
  from roles one
  join roles other on other.approval_id = one.approval_id
  where list_contains($kept_apart, concat(one.role, '/', other.role))
),
compared as (
  select approval_id,
         min(case when left_who = right_who then left_who end) as person_id,
         min(case when left_who = right_who then concat(left_role, ' and ', right_role) end) as same,
         min(case when left_who is null then left_role when right_who is null then right_role end) as unknown
  from pairs
  group by approval_id
),
judged as (
  select a.approval_id, a.kind, a.decision, c.same, c.unknown, c.person_id, coalesce(p.full_name, c.person_id) as who,
         concat(a.approval_id, coalesce(' for ' || a.entitlement, ''), coalesce(' in ' || a.system, '')) as shown,
         case
           when a.kind = 'termination' then 'it takes access away'
           when not list_contains($approved_words, lower(trim(a.decision))) then 'it approves nothing'
         end as outside
  from approvals a
  left join compared c on c.approval_id = a.approval_id
  left join people p on p.person_id = c.person_id
)
select approval_id, person_id,
       case
         when outside is not null then 'not_applicable'
         when same is null or kind is null or decision is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when outside is not null then outside
         when same is null then concat('approval ', shown, ': its ', unknown, ' is unknown')
         else concat(who, ' was ', same, ' of approval ', shown,
                     case when kind is null then ', whose kind is unknown'
                          when decision is null then ', whose decision is unknown' else '' end)
       end as reason
from judged
where outside is not null or same is not null or unknown is not null
