"""Migrations, oldest first by name; each names the one before it."""
