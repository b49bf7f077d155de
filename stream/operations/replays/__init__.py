"""Replays: a part of the log through today's code, in topics of their own, and what came out differently.

``record`` says what a replay is and where it is kept, ``begin`` makes one, ``run`` works on it, ``compare`` holds two
runs against each other. Called by `tidemark replay` and `tidemark compare`.
"""
