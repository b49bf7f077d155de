"""What can be set, where each value came from, and the properties that Kafka clients are made with.

One `tidemark.toml`, environment variables over it, and a default for everything. Nothing here connects to anything.
"""
