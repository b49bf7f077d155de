"""What a model and its alerts are worth: metrics, simple baselines beside them, and the report on a later period."""
