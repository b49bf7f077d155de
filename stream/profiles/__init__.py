"""A customer's rolling state: how an event changes it, what can be read from it, and when it asks for a score.

Everything here is a pure function of values: no clock, no I/O, no randomness. The profiles role folds live events
through it, and training folds history through the very same code, so a feature has one definition.
"""
