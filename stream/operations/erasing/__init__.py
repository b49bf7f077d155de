"""Erasing a customer: the event that does it, what is left of the customer by topic and until when, and the proof."""
