-- A person holds an entitlement that no approval covers, now or before.
with things as (
  select g.source, g.entitlement_id, lower(g.entitlement_id) as id_key, lower(trim(e.name)) as name_key
  from grants g
  left join entitlements e on e.source = g.source and e.entitlement_id = g.entitlement_id
  where g.principal_kind = 'account'
  group by g.source, g.entitlement_id, e.name
),
declared as (
  select 'scope' as list, number, cast(null as varchar) as department, lower(trim(source)) as system, entitlement, approval
  from approval_scope
  union all
  select 'map', number, department, lower(trim(source)), entitlement, 'not_required' from role_maps
),
entries as (
  select list, number, department, system, entitlement as wanted, approval,
         case when regexp_matches(entitlement, '[*?]') then
           replace(replace(replace(replace(replace(entitlement, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_')
         end as pattern
  from declared
),
matched as (
  select t.source, t.entitlement_id, n.list, n.number, n.department, n.approval,
         n.wanted = t.id_key or coalesce(n.wanted = t.name_key, false)
           or coalesce(t.id_key like n.pattern escape '\', false)
           or coalesce(t.name_key like n.pattern escape '\', false) as fits,
         t.name_key is null as nameless
  from things t
  cross join entries n
  where n.system is null or n.system = lower(t.source)
),
scoped as (
  -- the first entry that fits decides; one that may fit, for the name is unknown, leaves it open
  select source, entitlement_id,
         coalesce(min(case when fits and approval = 'not_required' then number end)
                  < coalesce(min(case when approval = 'required' then number end), 1000000000), false) as free,
         coalesce(min(case when approval = 'not_required' then number end)
                  < coalesce(min(case when fits and approval = 'required' then number end), 1000000000), false) as maybe_free
  from matched
  where list = 'scope' and (fits or nameless)
  group by source, entitlement_id
),
mapped as (
  select source, entitlement_id, department, bool_or(fits) as sure
  from matched
  where list = 'map' and (fits or nameless)
  group by source, entitlement_id, department
),
mapped_at_all as (
  select source, entitlement_id from mapped group by source, entitlement_id
),
held as not materialized (
  select g.source, g.principal_kind, g.principal_id, g.entitlement_id, g.assignment, l.person_id,
         coalesce(e.name, g.entitlement_id) as shown, e.name is null as nameless, e.privileged,
         coalesce(p.full_name, l.person_id) as owner,
         coalesce(c.maybe_free, false) as maybe_free,
         m.department is not null or (n.entitlement_id is not null and nullif(trim(p.department), '') is null) as maybe_mapped,
         case
           when g.principal_kind <> 'account' then 'it nests one entitlement in another'
           when g.assignment in ('dynamic', 'inherited') or e.membership = 'dynamic' then 'it follows from a rule'
           when e.membership = 'primary' then 'it is the account''s primary group'
           when c.free then 'the approval scope asks no approval of it'
           when $scope = 'privileged' and not e.privileged then 'it is not privileged'
           when s.account_id is not null then 'its account is registered as special'
           when l.person_id is null then 'its account is linked to nobody'
           when m.sure then concat('the role map of ', p.department, ' gives it')
         end as outside
  from grants g
  left join entitlements e on e.source = g.source and e.entitlement_id = g.entitlement_id
  left join links l on g.principal_kind = 'account' and l.source = g.source and l.account_id = g.principal_id
  left join specials s on g.principal_kind = 'account' and s.source = g.source and s.account_id = g.principal_id
  left join people p on p.person_id = l.person_id
  left join scoped c on c.source = g.source and c.entitlement_id = g.entitlement_id
  left join mapped m on m.source = g.source and m.entitlement_id = g.entitlement_id
    and m.department = lower(trim(p.department))
  left join mapped_at_all n on n.source = g.source and n.entitlement_id = g.entitlement_id
),
decided as (
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
         max(case when c.fit <> 'nameless' and d.state = 'ended' then d.valid_until end) as ended_at
  from covering c
  join decided d on d.approval_id = c.approval_id
  group by c.source, c.account_id, c.entitlement_id
)
select h.source, h.principal_kind, h.principal_id, h.entitlement_id, h.assignment, h.person_id,
       case
         when h.outside is not null or f.ended_at is not null then 'not_applicable'
         when f.unsure or h.maybe_free or h.maybe_mapped or ($scope = 'privileged' and h.privileged is null)
           then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when h.outside is not null then h.outside
         when f.ended_at is not null then concat('an approval covered it until ', strftime(f.ended_at, '%Y-%m-%d'))
         else concat(
           h.owner, ' holds ', h.shown, ' by account ', coalesce(a.login, h.principal_id), ' (', h.assignment, ')',
           case
             when f.unsure and h.nameless then
               '; the entitlement''s name is unknown, so whether an approval covers it is, too'
             when f.placeless then '; an approval fits that is limited to an environment, and the entitlement''s is unknown'
             when f.unsure then '; an approval fits whose decision or kind is unknown'
             when h.maybe_free then '; the entitlement''s name is unknown, so whether the approval scope asks an approval is, too'
             when h.maybe_mapped then '; whether the role map of the person''s department gives it is unknown'
             when $scope = 'privileged' and h.privileged is null then '; whether it is privileged is unknown'
             else '; no approval covers it'
           end
         )
       end as reason
from held h
left join found f on h.outside is null and h.principal_kind = 'account' and f.source = h.source
  and f.account_id = h.principal_id and f.entitlement_id = h.entitlement_id
left join accounts a on h.outside is null and a.source = h.source and a.account_id = h.principal_id
where h.outside is not null or not coalesce(f.covered, false)
