"""Sections of the configuration about what follows a finding; ``reconciler.settings`` puts the file together."""
