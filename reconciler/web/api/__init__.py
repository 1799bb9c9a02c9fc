"""The interface for other programs: webhooks that reach us."""
