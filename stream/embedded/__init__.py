"""A real Kafka broker and a real Triton server as child processes, for the demo, `tidemark up` and tests.

`kafka.py` and `triton.py` hold the two servers, `process.py` and `supervisor.py` what makes them die with their
parent, and `cache.py` the folder they are installed in on first use. Nothing here knows customers, topics or models.
"""
