-- An account or access was given by an event that names no approval, or one that does not exist.
with things as (
  select v.source, v.entitlement_id, e.membership, lower(v.entitlement_id) as id_key, lower(trim(e.name)) as name_key
  from events v
  left join entitlements e on e.source = v.source and e.entitlement_id = v.entitlement_id
  where v.entitlement_id is not null and list_contains($actions, v.action)
  group by v.source, v.entitlement_id, e.membership, e.name
),
entries as (
  select number, lower(trim(source)) as system, entitlement as wanted, approval,
         case when regexp_matches(entitlement, '[*?]') then
           replace(replace(replace(replace(replace(entitlement, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_')
         end as pattern
  from approval_scope
),
matched as (
  select t.source, t.entitlement_id, n.number, n.approval,
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
  where fits or nameless
  group by source, entitlement_id
),
judged as (
  select v.source, v.event_id, v.action, v.target_id, v.entitlement_id, v.occurred_at, v.actor_id,
         nullif(trim(v.approval_ref), '') as named, a.ref_key is not null as found,
         coalesce(c.maybe_free, false) as maybe_free, coalesce(v.raw_action, 'event') as raw_action,
         case
           when not list_contains($actions, v.action) then 'it gives neither an account nor access'
           when v.outcome is not null and not list_contains($success_outcomes, lower(trim(v.outcome)))
             then concat('it was not done: ', v.outcome)
           when t.membership in ('dynamic', 'primary') then 'its membership follows from a rule'
           when c.free then 'the approval scope asks no approval of it'
         end as outside
  from events v
  left join (select distinct lower(trim(approval_id)) as ref_key from approvals) a on a.ref_key = lower(trim(v.approval_ref))
  left join things t on list_contains($actions, v.action) and t.source = v.source and t.entitlement_id = v.entitlement_id
  left join scoped c on list_contains($actions, v.action) and c.source = v.source and c.entitlement_id = v.entitlement_id
)
select source, event_id,
       case
         when outside is not null then 'not_applicable'
         when action is null or maybe_free then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when outside is not null then outside
         when action is null then concat(raw_action, ' ', event_id, ': what it did is unknown')
         else concat(
           action, ' of ', coalesce(entitlement_id || ' to ', ''), coalesce(target_id, 'an unknown target'),
           coalesce(' on ' || strftime(occurred_at, '%Y-%m-%d %H:%M'), ''), coalesce(' by ' || actor_id, ''),
           case when named is null then ' names no approval' else concat(' names the approval ', named, ', which does not exist') end,
           case when maybe_free then ', and whether it needs one is unknown' else '' end
         )
       end as reason
from judged
where outside is not null or not found
