-- An account or access was given by an event that names no approval, or one that does not exist.
with judged as (
  select v.source, v.event_id, v.action, v.target_id, v.entitlement_id, v.occurred_at, v.actor_id,
         nullif(trim(v.approval_ref), '') as named, c.event_id is not null as found,
         f.entitlement_id is not null as maybe_free, v.outcome is null as unsaid, coalesce(v.raw_action, 'event') as raw_action,
         case
           when not list_contains($actions, v.action) then 'it gives neither an account nor access'
           when v.outcome is not null and not list_contains($success_outcomes, lower(trim(v.outcome)))
             then concat('it was not done: ', v.outcome)
           when e.membership in ('dynamic', 'primary') then 'its membership follows from a rule'
           when f.sure then 'the approval scope asks no approval of it'
         end as outside
  from events v
  left join (select distinct source, event_id from cited) c on c.source = v.source and c.event_id = v.event_id
  left join entitlements e on list_contains($actions, v.action) and e.source = v.source and e.entitlement_id = v.entitlement_id
  left join free_to_give f on list_contains($actions, v.action) and f.source = v.source and f.entitlement_id = v.entitlement_id
)
select source, event_id,
       case
         when outside is not null then 'not_applicable'
         when action is null or maybe_free or unsaid then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when outside is not null then outside
         when action is null then concat(raw_action, ' ', event_id, ': what it did is unknown')
         else concat(
           action, ' of ', coalesce(entitlement_id || ' to ', ''), coalesce(target_id, 'an unknown target'),
           coalesce(' on ' || strftime(occurred_at, '%Y-%m-%d %H:%M'), ''), coalesce(' by ' || actor_id, ''),
           case when named is null then ' names no approval' else concat(' names the approval ', named, ', which does not exist') end,
           case when maybe_free then ', and whether it needs one is unknown'
                when unsaid then ', and whether it was done is unknown' else '' end
         )
       end as reason
from judged
where outside is not null or not found
