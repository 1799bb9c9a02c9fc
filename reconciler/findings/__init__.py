"""What differs, kept: identity, lifecycle and history in a database."""
