"""What integrators test with: a pytest plugin with a real Kafka and a real Triton, and no Docker (`plugin.py`)."""
