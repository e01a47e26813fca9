"""What can be done to people, groups, sessions and tokens."""
