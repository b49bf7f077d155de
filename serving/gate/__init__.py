"""What a version has to pass before it may answer: fit to be served, and not worse than the present one."""
