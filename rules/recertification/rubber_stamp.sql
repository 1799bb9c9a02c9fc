-- One reviewer decided more reviews in a row than anybody can read in that time.
with placed as (
  select review_id, source, account_id, entitlement_id, reviewer_id, decided_at,
         row_number() over (partition by reviewer_id
                            order by decided_at, review_id, source, account_id, entitlement_id) as place
  from reviews
  where reviewer_id is not null and decided_at <= $as_of and (decision is null or decision <> 'undecided')
),
started as (
  -- more than so many within the time: the one so many places on is not later than that
  select one.review_id, one.source, one.account_id, one.entitlement_id, one.reviewer_id, one.decided_at, one.place,
         case when other.decided_at <= one.decided_at + $within then one.place end as start
  from placed one
  left join placed other on other.reviewer_id = one.reviewer_id and other.place = one.place + $decisions
),
reached as (
  select review_id, source, account_id, entitlement_id, reviewer_id, decided_at, place, start,
         max(start) over (partition by reviewer_id order by place rows between unbounded preceding and current row)
           as last_start
  from started
),
stamped as (
  select review_id, source, account_id, entitlement_id, reviewer_id, decided_at, place,
         lag(place) over (partition by reviewer_id order by place) as last_place,
         lag(decided_at) over (partition by reviewer_id order by place) as last_at
  from reached
  where place - last_start <= $decisions
),
numbered as (
  select review_id, source, account_id, entitlement_id, reviewer_id, decided_at, place,
         sum(case when last_place is null or last_place < place - 1 or last_at + $within < decided_at then 1 else 0 end)
           over (partition by reviewer_id order by place rows between unbounded preceding and current row) as burst
  from stamped
),
bursts as (
  select reviewer_id, burst, min(place) as first_place, min(decided_at) as first_at, max(decided_at) as last_at,
         count(*) as decisions
  from numbered
  group by reviewer_id, burst
),
found as (
  select n.review_id, n.source, n.account_id, n.entitlement_id, n.place = b.first_place as first, b.first_at, b.last_at,
         b.decisions
  from numbered n
  join bursts b on b.reviewer_id = n.reviewer_id and b.burst = n.burst
)
select r.review_id, r.source, r.account_id, r.entitlement_id, r.reviewer_id as person_id,
       case
         when r.decision = 'undecided' or r.decided_at > $as_of or (r.decision is null and r.decided_at is null)
           then 'not_applicable'
         when r.reviewer_id is null or r.decided_at is null then 'not_evaluable'
         when f.first then 'violation'
         else 'not_applicable'
       end as verdict,
       case
         when r.decision = 'undecided' or r.decided_at > $as_of or (r.decision is null and r.decided_at is null)
           then 'it is not decided'
         when r.reviewer_id is null then concat('who decided review ', r.review_id, ' is unknown')
         when r.decided_at is null then concat('when review ', r.review_id, ' was decided is unknown')
         when f.first then concat(
           coalesce(p.full_name, r.reviewer_id), ' decided ', f.decisions, ' reviews from ',
           strftime(f.first_at, '%Y-%m-%d %H:%M:%S'), ' to ', strftime(f.last_at, '%Y-%m-%d %H:%M:%S'),
           coalesce(', the first of ' || r.campaign, ''))
         else 'it is part of a run of decisions that is found at its first review'
       end as reason
from reviews r
left join found f on f.review_id = r.review_id and f.source = r.source and f.account_id = r.account_id
  and f.entitlement_id = r.entitlement_id
left join people p on p.person_id = r.reviewer_id
where r.decision = 'undecided' or r.decided_at is null or r.decided_at > $as_of or r.reviewer_id is null
   or f.review_id is not null
