"""Findings become nonconformities: what ISO 9001 clause 10.2 asks for, with gates that code and database both hold."""
