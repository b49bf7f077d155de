"""Holdout against treated: what the alerts of an experiment brought. Read from the log, and nothing is written."""
