-- A review said revoke, the time to do so is over, and the grant is still there.
with held as (
  select g.source, g.principal_id as account_id, g.entitlement_id, count(*) as grants, count(g.granted_at) as dated,
         min(g.granted_at) as first_at, min(g.assignment) as assignment
  from (select distinct source, account_id, entitlement_id from reviews where decision is null or decision = 'revoke') r
  join grants g on g.source = r.source and g.principal_id = r.account_id and g.entitlement_id = r.entitlement_id
  where g.principal_kind = 'account'
  group by g.source, g.principal_id, g.entitlement_id
),
lifted as (
  select r.review_id, r.source, r.account_id, r.entitlement_id,
         bool_or(later.decision in ('keep', 'change') and later.decided_at > r.decided_at) as surely,
         bool_or(later.decision is null and later.decided_at > r.decided_at
                 or later.decision in ('keep', 'change') and (later.decided_at is null or later.decided_at = r.decided_at))
           as perhaps
  from reviews r
  join reviews later on later.source = r.source and later.account_id = r.account_id
    and later.entitlement_id = r.entitlement_id and later.review_id <> r.review_id
  where r.decision = 'revoke' and (later.decided_at is null or later.decided_at <= $as_of)
  group by r.review_id, r.source, r.account_id, r.entitlement_id
),
judged as (
  select r.review_id, r.source, r.account_id, r.entitlement_id, r.decision, r.decided_at, l.person_id,
         coalesce(p.full_name, l.person_id, 'nobody known') as owner, coalesce(e.name, r.entitlement_id) as shown,
         coalesce(a.login, r.account_id) as account, h.assignment,
         coalesce(i.perhaps, false) as perhaps,
         case
           when r.decision <> 'revoke' then concat('the decision is ', r.decision)
           when r.decided_at + $after > $as_of then 'it may still be carried out in time'
           when h.source is null then null
           when i.surely then 'a later review let it stay'
           when h.dated = h.grants and h.first_at > r.decided_at
             then concat('it was granted anew on ', strftime(h.first_at, '%Y-%m-%d'))
         end as outside,
         h.source is not null as still
  from reviews r
  left join held h on h.source = r.source and h.account_id = r.account_id and h.entitlement_id = r.entitlement_id
  left join lifted i on i.review_id = r.review_id and i.source = r.source and i.account_id = r.account_id
    and i.entitlement_id = r.entitlement_id
  left join entitlements e on e.source = r.source and e.entitlement_id = r.entitlement_id
  left join accounts a on a.source = r.source and a.account_id = r.account_id
  left join links l on l.source = r.source and l.account_id = r.account_id
  left join people p on p.person_id = l.person_id
)
select review_id, source, account_id, entitlement_id, person_id,
       case
         when outside is not null then 'not_applicable'
         when decision is null or decided_at is null or perhaps then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when outside is not null then outside
         else concat(
           owner, ' still holds ', shown, ' by account ', account, ' (', assignment, '); review ', review_id,
           case
             when decision is null then ' has no known decision'
             when decided_at is null then ' revoked it, but when is unknown'
             else concat(' revoked it on ', strftime(decided_at, '%Y-%m-%d'),
                         case when perhaps then ', and whether a later one let it stay is unknown' else '' end)
           end
         )
       end as reason
from judged
where outside is not null or still
