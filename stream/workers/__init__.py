"""The wiring: profiles and decisions as processors on the engine, the scoring stage between them, and the process that
runs a role.

What happens to a customer is decided in ``stream.profiles`` and ``stream.decisions``; here bytes become their
arguments, and their results become records.
"""
