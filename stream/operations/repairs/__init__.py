"""Repairs: what a replay found that should have been said, published as what is to be believed from now on.

``finals`` reads what a run has said in the end, ``plan`` finds what has to change, ``hold`` keeps the role `profiles`
away meanwhile and writes, ``repair`` is the whole course. Called by `tidemark repair`.
"""
