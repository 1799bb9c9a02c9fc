-- A controlled document whose review date has passed.
select document_id,
       case when next_review_on is null then 'not_evaluable' else 'violation' end as verdict,
       concat(
         coalesce(lower(kind), 'document'), ' ', coalesce(title, document_id),
         case when version is null then '' else concat(' (version ', version, ')') end,
         case
           when next_review_on is null then ': when it is due for review is unknown'
           else concat(' was due for review on ', strftime(next_review_on, '%Y-%m-%d'))
         end,
         case when owner_role is null then '' else concat('; owner: ', owner_role) end
       ) as reason
from documents
where next_review_on is null
   or access_deadline(next_review_on, cast(null as varchar), $grace) <= $as_of
