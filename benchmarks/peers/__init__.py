"""Tidemark's engine beside its peers: one simple job, the same log and broker, and results held against an oracle."""
