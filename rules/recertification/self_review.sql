-- Somebody reviewed access of their own account.
with candidates as (
  select source, account_id, unnest(candidates) as person_id from links where person_id is null
),
perhaps as (
  select source, account_id, person_id from candidates group by source, account_id, person_id
),
judged as (
  select r.review_id, r.source, r.account_id, r.entitlement_id, r.decision, r.decided_at, r.campaign,
         nullif(trim(r.reviewer_id), '') as reviewer_id, l.person_id as owner_id, c.person_id as candidate_id,
         coalesce(p.full_name, r.reviewer_id) as who, coalesce(a.login, r.account_id) as account,
         coalesce(e.name, r.entitlement_id) as shown,
         case
           when r.decision = 'undecided' or (r.decision is null and r.decided_at is null) then 'it is not decided'
           when a.source is null then 'the account is no longer there'
           when l.person_id is null and coalesce(len(l.candidates), 0) = 0 then 'the account is linked to nobody'
           when l.person_id is null and c.person_id is null and nullif(trim(r.reviewer_id), '') is not null
             then 'the account is linked to nobody, and the reviewer is no candidate'
         end as outside
  from reviews r
  left join accounts a on a.source = r.source and a.account_id = r.account_id
  left join links l on l.source = r.source and l.account_id = r.account_id
  left join perhaps c on c.source = r.source and c.account_id = r.account_id and c.person_id = r.reviewer_id
  left join people p on p.person_id = r.reviewer_id
  left join entitlements e on e.source = r.source and e.entitlement_id = r.entitlement_id
)
select review_id, source, account_id, entitlement_id, coalesce(reviewer_id, owner_id) as person_id,
       case
         when outside is not null then 'not_applicable'
         when reviewer_id is null or owner_id is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when outside is not null then outside
         when reviewer_id is null
           then concat('who reviewed ', shown, ' of account ', account, ' (', review_id, ') is unknown')
         when owner_id is null
           then concat(who, ' reviewed ', shown, ' of account ', account, ' (', review_id,
                       '), and whether that account is theirs is unknown')
         else concat(who, ' reviewed ', shown, ' of their own account ', account, ' (', review_id, ')',
                     coalesce(': ' || decision, ''), coalesce(' on ' || strftime(decided_at, '%Y-%m-%d'), ''))
       end as reason
from judged
where outside is not null or reviewer_id is null or owner_id = reviewer_id or candidate_id is not null
