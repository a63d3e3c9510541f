"""What make needs and no user reads."""
