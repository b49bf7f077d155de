"""Text of customers and items: what a review says of its writer's mood, and a vector for what a text is about."""
