-- A table of a source that has not been read whole for too long.
select source, table_name,
       case when complete_at > $as_of + $max_age then 'not_evaluable' else 'violation' end as verdict,
       concat(
         table_name, ' of ', source,
         case
           when complete_at is null then ' was never read whole, as far as is known'
           -- the instant of that pull is left out: it moves with every pull, and says nothing about this one
           when complete_at > $as_of then ' was read whole only after the instant that is judged'
           else concat(' was last read whole on ', strftime(complete_at, '%Y-%m-%d %H:%M'), ' (UTC)')
         end
       ) as reason
from freshness
where complete_at is null or complete_at < $as_of - $max_age or complete_at > $as_of + $max_age
