-- A person holds what the latest decision on it refused.
with decided as (
  select c.source, c.account_id, c.entitlement_id, c.person_id, a.approval_id, a.decided_at,
         c.fit = 'sure' and a.kind is not null as sure,
         list_contains($rejected_words, lower(trim(a.decision))) as refused,
         a.decision is null or list_contains($approved_words, lower(trim(a.decision))) as allowed
  from covering c
  join approvals a on a.approval_id = c.approval_id
  where (a.kind is null or a.kind <> 'termination')
    and (a.decided_at is null or a.decided_at <= $as_of)
    and (a.decision is null or list_contains($rejected_words, lower(trim(a.decision)))
         or list_contains($approved_words, lower(trim(a.decision))))
),
refusals as (
  select source, account_id, entitlement_id, min(person_id) as person_id,
         bool_or(sure) as sure, max(case when sure then decided_at end) as sure_at,
         max(decided_at) as perhaps_at, bool_or(decided_at is null) as undated,
         max(case when sure then concat(coalesce(strftime(decided_at, '%Y-%m-%dT%H:%M:%S.%f'),
                                                 '0000-00-00T00:00:00.000000'), approval_id) end) as last
  from decided
  where refused
  group by source, account_id, entitlement_id
),
allowances as (
  select source, account_id, entitlement_id, decided_at, sure and refused is not null as sure from decided where allowed
),
compared as (
  select r.source, r.account_id, r.entitlement_id, r.person_id, r.sure, r.sure_at, r.last,
         -- a yes that is surely later than every no; and one that may be later than the last sure no
         coalesce(bool_or(d.sure and d.decided_at > r.perhaps_at and not r.undated), false) as lifted,
         coalesce(bool_or(d.source is not null
                          and (r.sure_at is null or d.decided_at is null or d.decided_at = r.sure_at
                               or (d.decided_at > r.sure_at and not d.sure))), false) as perhaps,
         coalesce(bool_or(d.sure and d.decided_at > r.sure_at), false) as lifted_sure
  from refusals r
  left join allowances d
    on d.source = r.source and d.account_id = r.account_id and d.entitlement_id = r.entitlement_id
  group by r.source, r.account_id, r.entitlement_id, r.person_id, r.sure, r.sure_at, r.last
),
-- Nearly nothing is refused: only of that are the names looked up.
refused as (
  select c.source, c.account_id, c.entitlement_id, c.sure, c.sure_at, c.last, c.lifted, c.perhaps, c.lifted_sure,
         coalesce(p.full_name, c.person_id) as owner, coalesce(a.login, c.account_id) as account
  from compared c
  left join people p on p.person_id = c.person_id
  left join accounts a on a.source = c.source and a.account_id = c.account_id
)
select h.source, h.principal_kind, h.principal_id, h.entitlement_id, h.assignment, h.person_id,
       case
         when h.outside is not null or c.source is null then 'not_applicable'
         when not c.sure or c.perhaps or c.lifted_sure then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when h.outside is not null then h.outside
         when c.source is null then 'nobody refused it'
         else concat(
           c.owner, ' holds ', coalesce(h.name, h.entitlement_id), ' by account ', c.account, ' (', h.assignment, ')',
           case
             when not c.sure then '; whether a refusal means it is unknown'
             else concat('; ', substr(c.last, 27), ' refused it',
                         coalesce(' on ' || strftime(c.sure_at, '%Y-%m-%d'), ''))
           end,
           case
             when not c.sure then ''
             when c.perhaps then ', and whether a later decision allowed it is unknown'
             when c.lifted_sure then ', and whether a later refusal means it, too, is unknown'
             else ' and no later decision allows it'
           end
         )
       end as reason
from holdings h
left join refused c on h.principal_kind = 'account' and c.source = h.source and c.account_id = h.principal_id
  and c.entitlement_id = h.entitlement_id
where h.outside is not null or not coalesce(c.lifted, false)
