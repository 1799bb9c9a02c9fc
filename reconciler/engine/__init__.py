"""Rules: load, lint, try their cases, and evaluate them over a snapshot."""
