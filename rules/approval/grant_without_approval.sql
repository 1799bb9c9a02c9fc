-- A person holds an entitlement that no approval covers, now or before.
with decided as (
  select approval_id, valid_until,
         case
           when decision is null or kind is null then case when valid_until < $as_of then 'past' else 'unsure' end
           when valid_until < $as_of then 'ended'
           else 'live'
         end as state
  from approvals
  where (kind is null or kind in ('access_request', 'role_change', 'onboarding', 'emergency_access'))
    and (decision is null or list_contains($approved_words, lower(trim(decision))))
    and (valid_from is null or valid_from <= $as_of) and (decided_at is null or decided_at <= $as_of)
),
found as (
  select c.source, c.account_id, c.entitlement_id,
         bool_or(c.fit = 'sure' and d.state = 'live') as covered,
         bool_or(d.state = 'unsure' or (c.fit <> 'sure' and d.state = 'live')) as unsure,
         bool_or(c.fit = 'placeless' and d.state = 'live') as placeless,
         bool_or(c.fit <> 'nameless' and d.state = 'past') as past,
         max(case when c.fit <> 'nameless' and d.state = 'ended' then d.valid_until end) as ended_at
  from covering c
  join decided d on d.approval_id = c.approval_id
  group by c.source, c.account_id, c.entitlement_id
)
select h.source, h.principal_kind, h.principal_id, h.entitlement_id, h.assignment, h.person_id,
       case
         when h.outside is not null or f.ended_at is not null or ($scope = 'privileged' and not h.privileged)
           then 'not_applicable'
         when f.unsure or h.doubt is not null or ($scope = 'privileged' and h.privileged is null) then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when h.outside is not null then h.outside
         when $scope = 'privileged' and not h.privileged then 'it is not privileged'
         when f.ended_at is not null then concat('an approval covered it until ', strftime(f.ended_at, '%Y-%m-%d'))
         else concat(
           h.owner, ' holds ', coalesce(h.name, h.entitlement_id), ' by account ', coalesce(a.login, h.principal_id),
           ' (', h.assignment, ')',
           case
             when f.unsure and h.name is null then
               '; the entitlement''s name is unknown, so whether an approval covers it is, too'
             when f.placeless then '; an approval fits that is limited to an environment, and the entitlement''s is unknown'
             when f.unsure then '; an approval fits whose decision or kind is unknown'
             when h.doubt = 'scope' then '; the entitlement''s name is unknown, so whether the approval scope asks an approval is, too'
             when h.doubt = 'position' then '; whether the role map of the person''s department gives it is unknown'
             when $scope = 'privileged' and h.privileged is null then '; whether it is privileged is unknown'
             when f.past then '; no approval covers it now, and whether one that has ended did is unknown'
             else '; no approval covers it'
           end
         )
       end as reason
from approvable h
left join found f on f.source = h.source and f.account_id = h.principal_id and f.entitlement_id = h.entitlement_id
left join accounts a on a.source = h.source and a.account_id = h.principal_id
where h.outside is not null or ($scope = 'privileged' and not h.privileged) or not coalesce(f.covered, false)
