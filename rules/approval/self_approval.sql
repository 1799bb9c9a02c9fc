-- Two of those who take part in an approval, and whom policy keeps apart, are one person.
with kept_apart as (
  select left_role, right_role
  from (
    select 'subject' as left_role, 'requester' as right_role union all
    select 'subject', 'approver' union all
    select 'subject', 'executor' union all
    select 'requester', 'approver' union all
    select 'requester', 'executor' union all
    select 'approver', 'executor'
  ) every_two
  where list_contains($kept_apart, concat(left_role, '/', right_role))
),
asked as (
  select approval_id, kind, decision, entitlement, system, nullif(trim(person_id), '') as subject,
         nullif(trim(requested_by), '') as requester, nullif(trim(approved_by), '') as approver,
         nullif(trim(executed_by), '') as executor,
         case
           when kind = 'termination' then 'it takes access away'
           when not list_contains($approved_words, lower(trim(decision))) then 'it approves nothing'
         end as outside
  from approvals
),
pairs as (
  select a.approval_id, k.left_role, k.right_role,
         case k.left_role when 'subject' then a.subject when 'requester' then a.requester else a.approver end as left_who,
         case k.right_role when 'requester' then a.requester when 'approver' then a.approver else a.executor end as right_who
  from asked a
  cross join kept_apart k
  where a.outside is null
),
compared as (
  -- of nearly every approval nothing is left here
  select approval_id,
         min(case when left_who = right_who then left_who end) as person_id,
         min(case when left_who = right_who then concat(left_role, ' and ', right_role) end) as same,
         min(case when left_who is null then left_role when right_who is null then right_role end) as unknown
  from pairs
  where left_who = right_who or left_who is null or right_who is null
  group by approval_id
)
select a.approval_id, c.person_id,
       case
         when a.outside is not null then 'not_applicable'
         when c.same is null or a.kind is null or a.decision is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when a.outside is not null then a.outside
         when c.same is null then concat('approval ', a.approval_id, coalesce(' for ' || a.entitlement, ''),
                                         coalesce(' in ' || a.system, ''), ': its ', c.unknown, ' is unknown')
         else concat(coalesce(p.full_name, c.person_id), ' was ', c.same, ' of approval ', a.approval_id,
                     coalesce(' for ' || a.entitlement, ''), coalesce(' in ' || a.system, ''),
                     case when a.kind is null then ', whose kind is unknown'
                          when a.decision is null then ', whose decision is unknown' else '' end)
       end as reason
from asked a
left join compared c on c.approval_id = a.approval_id
left join people p on p.person_id = c.person_id
where a.outside is not null or c.approval_id is not null
