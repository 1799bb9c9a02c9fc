"""The outbox: what is filed in other systems, asked for at least once and filed at most once."""
