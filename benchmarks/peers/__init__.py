"""Tidemark's engine beside its peers: one simple job, and the whole fold beside Kafka Streams.

The same log and broker for all, and results held against an oracle.
"""
