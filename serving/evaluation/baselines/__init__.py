"""What the model has to beat: what an analyst has after an afternoon with the purchases alone.

Each knows only what happened before the cut-off, and none sees a profile.
"""
