"""One customer's history: the state at an offset, whether the live state is what the log gives, and why alerts were
raised or not. Reads Kafka alone and changes nothing."""
