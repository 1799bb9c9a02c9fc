-- A leaver is still the owner or creator of an account, an entitlement or a credential.
with leavers as (
  select person_id, coalesce(full_name, person_id) as owner, ends_on, time_zone, status,
         access_deadline(ends_on, time_zone, $grace) as deadline,
         -- no zone is two days from another: before this instant an unknown one decides nothing
         access_deadline(ends_on - 2, cast(null as varchar), $grace) as earliest,
         coalesce(list_contains($ended_statuses, lower(trim(status))), false)
           and (ends_on is null
                or coalesce(access_deadline(ends_on - 1, time_zone, to_hours(0)),
                            access_deadline(ends_on - 1, cast(null as varchar), to_hours(0))) > $as_of) as contradicted
  from people
),
objects as (
  select source, 'account' as object_kind, account_id as object_id, account_id, coalesce(login, display_name, account_id) as shown,
         'owner' as tie, lower(trim(owner_ref)) as name, false as doubtful
  from accounts
  where owner_ref is not null and coalesce(status <> 'deleted', true)
  union all
  select source, 'entitlement', entitlement_id, cast(null as varchar), coalesce(name, entitlement_id),
         'owner', lower(trim(owner_ref)), false
  from entitlements
  where owner_ref is not null
  union all
  select source, 'credential', credential_id, account_id, credential_id, 'creator', lower(trim(created_by)), status is null
  from credentials
  where created_by is not null and coalesce(status = 'active', true) and coalesce(expires_at > $as_of, true)
),
-- A source names an owner in its own words: by id, login, address, DN or ARN.
accounts_by_name as (
  select source, account_id, lower(trim(account_id)) as name from accounts
  union
  select source, account_id, lower(trim(login)) from accounts
  union
  select source, account_id, lower(trim(email)) from accounts
  union
  select source, account_id, lower(trim(json_extract_string(attributes, '$.dn'))) from accounts where json_valid(attributes)
  union
  select source, account_id, lower(trim(json_extract_string(attributes, '$.arn'))) from accounts where json_valid(attributes)
),
here as (
  select n.source, n.name, l.person_id
  from accounts_by_name n
  join links l on l.source = n.source and l.account_id = n.account_id
  where l.person_id is not null
),
-- Or as the personnel file does, where none of its own accounts is meant.
anywhere as (
  select person_id, lower(trim(person_id)) as name from people
  union
  select person_id, lower(trim(employee_id)) from people
  union
  select person_id, lower(trim(address)) from (select person_id, unnest(emails) as address from people) listed
),
meant as (
  select o.source, o.object_kind, o.object_id, o.account_id, o.shown, o.tie, o.doubtful, o.name, h.person_id
  from objects o
  join here h on h.source = o.source and h.name = o.name
  union
  select o.source, o.object_kind, o.object_id, o.account_id, o.shown, o.tie, o.doubtful, o.name, w.person_id
  from objects o
  join anywhere w on w.name = o.name
  left join (select distinct source, name from here) k on k.source = o.source and k.name = o.name
  where k.name is null
),
counted as (
  select source, object_kind, object_id, tie, name, count(distinct person_id) as people, max(person_id) as last_one, min(person_id) as first_one
  from meant
  group by source, object_kind, object_id, tie, name
),
owned as (
  select m.source, m.object_kind, m.object_id, m.person_id,
         min(m.shown) as shown, min(m.tie) as tie, bool_and(m.doubtful) as doubtful, bool_and(c.people > 1) as shared,
         min(case when c.first_one <> m.person_id then c.first_one else c.last_one end) as other
  from meant m
  join counted c on c.source = m.source and c.object_kind = m.object_kind and c.object_id = m.object_id and c.tie = m.tie
    and c.name = m.name
  left join links l on l.source = m.source and l.account_id = m.account_id
  -- the leaver's own account, and what is kept in it, are other rules' matter
  where l.person_id is null or l.person_id <> m.person_id
  group by m.source, m.object_kind, m.object_id, m.person_id
)
select o.source, o.person_id, o.object_kind, o.object_id,
       case when v.deadline <= $as_of and not v.contradicted and not o.shared and not o.doubtful then 'violation'
            else 'not_evaluable' end as verdict,
       concat(
         case
           when v.contradicted then
             concat(v.owner, ' is ', v.status,
                    case when v.ends_on is null then ', but no last day is known'
                         else concat(', but the last day is ', strftime(v.ends_on, '%Y-%m-%d')) end)
           when v.deadline is null then
             concat('the last day of ', v.owner, ' is ', strftime(v.ends_on, '%Y-%m-%d'), ' in the unknown time zone ', v.time_zone)
           else concat(v.owner, ' left on ', strftime(v.ends_on, '%Y-%m-%d'))
         end,
         case when o.shared then '; the ' when v.deadline <= $as_of and not v.contradicted then ' and is still the '
              else '; still the ' end, o.tie, ' of ', o.object_kind, ' ', o.shown, ' in ', o.source,
         case when o.shared then concat(' may be this person or ', o.other, ': the name fits both')
              when o.doubtful then '; whether that is active is unknown' else '' end
       ) as reason
from owned o
join leavers v on v.person_id = o.person_id
where v.deadline <= $as_of or v.contradicted or (v.deadline is null and v.earliest <= $as_of)
