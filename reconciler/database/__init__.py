"""The one database: connections, the schema of every table, and its migrations; what is kept in it is others' work."""

from reconciler.database.connection import Database
from reconciler.database.schema import opened

__all__ = ["Database", "opened"]
