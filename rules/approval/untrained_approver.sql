-- Who approved access, or holds privileged access, without the training that this asks.
with systems as (
  select source from coverage where table_name in ('accounts', 'entitlements', 'grants') group by source
),
trained as (
  -- trainings name no zone: their days are the estate's; a day begins where the one before it ends
  select person_id, access_deadline(completed_on - 1, cast(null as varchar), to_hours(0)) as begins,
         coalesce(access_deadline(valid_until, cast(null as varchar), to_hours(0)),
                  access_deadline(completed_on, cast(null as varchar), $counts_for)) as ends
  from trainings
  where list_contains($courses, lower(trim(course)))
),
decisions as (
  select approved_by as person_id, approval_id, coalesce(decided_at, $as_of) as moment,
         decided_at is not null and decision is not null as sure
  from approvals
  where approved_by is not null
    and (decision is null or list_contains($approved_words, lower(trim(decision))))
    and (decided_at is null or (decided_at <= $as_of and decided_at + $within > $as_of))
),
weighed as (
  select d.person_id, d.approval_id, d.moment, d.sure,
         coalesce(bool_or(t.begins <= d.moment and d.moment < t.ends), false) as counts,
         coalesce(bool_or(t.person_id is not null and t.begins is null and (t.ends is null or d.moment < t.ends)), false) as perhaps,
         max(case when t.ends <= d.moment then t.ends end) as lapsed
  from decisions d
  left join trained t on t.person_id = d.person_id
  group by d.person_id, d.approval_id, d.moment, d.sure
),
approvers as (
  select person_id, bool_or(sure and not perhaps) as sure, bool_and(perhaps) as perhaps,
         max(case when sure and not perhaps then concat(strftime(moment, '%Y-%m-%d %H:%M:%S.%f'), approval_id) end) as last_sure,
         max(concat(strftime(moment, '%Y-%m-%d %H:%M:%S.%f'), approval_id)) as last_any, max(lapsed) as lapsed
  from weighed
  where not counts
  group by person_id
),
privileges as (
  select l.person_id, g.source, coalesce(bool_or(e.privileged and coalesce(a.can_sign_in, a.status = 'enabled', false)), false) as sure,
         min(case when e.privileged then coalesce(e.name, e.entitlement_id) end) as shown,
         min(coalesce(e.name, g.entitlement_id)) as any_shown
  from grants g
  join links l on l.source = g.source and l.account_id = g.principal_id and l.person_id is not null
  join accounts a on a.source = g.source and a.account_id = g.principal_id
  left join entitlements e on e.source = g.source and e.entitlement_id = g.entitlement_id
  where g.principal_kind = 'account' and coalesce(e.privileged, true)
    and coalesce(a.can_sign_in, a.status not in ('disabled', 'deleted'), true)
  group by l.person_id, g.source
),
operators as (
  select o.person_id, o.source, o.sure, o.shown, o.any_shown,
         coalesce(bool_or(t.begins <= $as_of and $as_of < t.ends), false) as counts,
         coalesce(bool_or(t.person_id is not null and t.begins is null and (t.ends is null or $as_of < t.ends)), false) as perhaps,
         max(case when t.ends <= $as_of then t.ends end) as lapsed
  from privileges o
  left join trained t on t.person_id = o.person_id
  group by o.person_id, o.source, o.sure, o.shown, o.any_shown
)
select p.person_id, cast(null as varchar) as source,
       case when a.sure then 'violation' else 'not_evaluable' end as verdict,
       concat(
         coalesce(p.full_name, p.person_id), ' approved ', substr(coalesce(a.last_sure, a.last_any), 27),
         case
           when a.sure then concat(' on ', left(a.last_sure, 16), ' without the training it asks',
                                   coalesce('; the last one ended by ' || strftime(a.lapsed, '%Y-%m-%d %H:%M'), ''))
           when a.perhaps then '; when the training for it was completed is unknown'
           else '; whether or when it was decided is unknown, and so is whether the training counted'
         end
       ) as reason
from people p
join approvers a on a.person_id = p.person_id
union all
select p.person_id, s.source,
       case
         when o.person_id is null then 'not_applicable'
         when o.sure and not o.perhaps then 'violation'
         else 'not_evaluable'
       end,
       case
         when o.person_id is null then 'they hold no privileged access there'
         else concat(
           coalesce(p.full_name, p.person_id), ' holds ', coalesce(o.shown, o.any_shown), ' in ', o.source,
           case
             when not o.sure then concat(' without the training for privileged access, and whether ',
                                         case when o.shown is null then 'it is privileged' else 'the account can sign in' end, ' is unknown')
             when o.perhaps then '; when the training for it was completed is unknown'
             else concat(' without the training it asks',
                         coalesce('; the last one ended by ' || strftime(o.lapsed, '%Y-%m-%d %H:%M'), ''))
           end)
       end
from people p
cross join systems s
left join operators o on o.person_id = p.person_id and o.source = s.source
where not coalesce(o.counts, false)
