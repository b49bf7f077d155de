"""Alerts for tools that speak HTTP, or run as a command, and know no Kafka: `tidemark subscribe`."""
