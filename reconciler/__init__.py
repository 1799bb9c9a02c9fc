"""Reconcile what was approved with what is granted, and never mistake unreadable for absent."""

__version__ = "0.1.0"
