-- A service account with which a person signed in.
with machines as (
  select a.source, a.account_id, coalesce(a.login, a.display_name, a.account_id) as name
  from accounts a
  left join specials s on s.source = a.source and s.account_id = a.account_id
  where s.kind in ('service', 'agent') or (s.account_id is null and a.kind in ('service', 'agent'))
     or (s.account_id is not null and s.kind is null and a.kind in ('service', 'agent'))
),
sign_ins as (
  select u.source, u.account_id, u.occurred_at, u.raw_action,
         case
           when u.raw_action is null then null
           when list_contains($interactive, lower(trim(u.raw_action))) then true
           when list_contains($not_interactive, lower(trim(u.raw_action))) then false
         end as interactive,
         case
           when u.outcome is null then null
           else not list_contains($failed_words, split_part(lower(trim(u.outcome)), ' ', 1))
         end as done
  from (
    -- most sources name the one who signed in as actor, directories as target
    select source, actor_id as account_id, event_id, occurred_at, raw_action, outcome from events where action = 'sign_in'
    union
    select source, target_id, event_id, occurred_at, raw_action, outcome from events where action = 'sign_in'
  ) u
  join machines m on m.source = u.source and m.account_id = u.account_id
  where u.occurred_at is null or u.occurred_at <= $as_of
),
used as (
  select source, account_id, bool_or(coalesce(interactive and done, false)) as sure,
         min(case when interactive and done then occurred_at end) as first_at,
         min(case when interactive and done
               then concat(coalesce(strftime(occurred_at, '%Y-%m-%d %H:%M:%S'), '9999-12-31 23:59:59'), ' ', raw_action) end) as first_told,
         min(occurred_at) as doubtful_at,
         min(case when interactive is null then coalesce(raw_action, 'an event without a name') end) as unnamed
  from sign_ins
  where coalesce(interactive, true) and coalesce(done, true)
  group by source, account_id
)
select a.source, a.account_id,
       case
         when m.account_id is null then 'not_applicable'
         when u.sure then 'violation'
         else 'not_evaluable'
       end as verdict,
       case
         when m.account_id is null then 'it is no service or agent account'
         when u.sure then
           concat('service account ', m.name, ' was signed in with interactively',
                  case when u.first_at is null then '' else concat(' on ', strftime(u.first_at, '%Y-%m-%d %H:%M'), ' (UTC)') end,
                  ': ', substr(u.first_told, 21))
         else
           concat('service account ', m.name, ' was signed in with',
                  case when u.doubtful_at is null then '' else concat(' on ', strftime(u.doubtful_at, '%Y-%m-%d %H:%M'), ' (UTC)') end,
                  case when u.unnamed is null then '; whether that succeeded is unknown'
                       else concat('; whether that was interactive is unknown: ', u.unnamed) end)
       end as reason
from accounts a
left join machines m on m.source = a.source and m.account_id = a.account_id
left join used u on u.source = a.source and u.account_id = a.account_id
where m.account_id is null or u.account_id is not null
