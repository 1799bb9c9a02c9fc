"""The one vocabulary: tables and columns, and how accounts are linked to people."""
