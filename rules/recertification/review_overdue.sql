-- A review of access was due, and nobody decided it.
select r.review_id, r.source, r.account_id, r.entitlement_id, r.reviewer_id as person_id,
       case
         when r.due_at is null or r.decision is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       concat(
         'review ', r.review_id, coalesce(' of ' || r.campaign, ''), ' of ', r.entitlement_id, ' at account ', r.account_id,
         case
           when r.due_at is null then ' is undecided; when it was due is unknown'
           else concat(' was due on ', strftime(r.due_at, '%Y-%m-%d %H:%M'),
                       case when r.decision is null then '; whether it was decided is unknown'
                            else concat(' from ', coalesce(p.full_name, r.reviewer_id, 'nobody named'), ' and is undecided') end)
         end
       ) as reason
from reviews r
left join people p on p.person_id = r.reviewer_id
where (r.decision is null and r.decided_at is null or r.decision = 'undecided')
  and (r.due_at is null or r.due_at + $grace < $as_of)
