-- An account whose link holds, though its login, address or number now belongs to somebody else.
with others as (
  select source, account_id, state, person_id, candidate
  from (
    select source, account_id, state, person_id, unnest(candidates) as candidate
    from links
    where person_id is not null
  )
  where candidate <> person_id
),
named as (
  select o.source, o.account_id, o.state, o.person_id,
         string_agg(coalesce(p.full_name, o.candidate), ', ' order by coalesce(p.full_name, o.candidate), o.candidate) as now_fit
  from others o
  left join people p on p.person_id = o.candidate
  group by o.source, o.account_id, o.state, o.person_id
)
select a.source, a.account_id, l.person_id,
       case
         when l.person_id is null or s.account_id is not null then 'not_applicable'
         when a.usable is null or l.state is null then 'not_evaluable'
         else 'violation'
       end as verdict,
       case
         when l.person_id is null then 'linked to nobody'
         when s.account_id is not null then 'it is registered as special'
         else concat(
           'account ', coalesce(a.login, a.account_id), case when a.email is null then '' else concat(' (', a.email, ')') end,
           ' is held by ', coalesce(p.full_name, l.person_id), ', but what it carries now belongs to ', n.now_fit,
           case when l.state is null then '; how it was linked is unknown' else '' end,
           case when a.usable is null then '; whether it can sign in is unknown' else '' end
         )
       end as reason
from (
  select source, account_id, login, email,
         coalesce(can_sign_in, case when status = 'enabled' then true
                                    when status in ('disabled', 'deleted') then false end) as usable
  from accounts
) a
left join links l on l.source = a.source and l.account_id = a.account_id
left join named n on n.source = a.source and n.account_id = a.account_id
left join people p on p.person_id = l.person_id
left join specials s on s.source = a.source and s.account_id = a.account_id
where l.person_id is null or s.account_id is not null or (n.account_id is not null and coalesce(a.usable, true))
