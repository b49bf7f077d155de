"""Exactly-once processors on Kafka transactions.

The engine consumes, restores, folds, fires timers and commits input offsets, state and outputs as one transaction. It
knows partitions, offsets and bytes; it knows no customer, no event and no alert: those are the business of the
processors that ``stream.workers`` hands to it.
"""
