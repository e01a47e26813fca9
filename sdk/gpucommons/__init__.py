"""What every workspace and job of GPU Commons has inside. Needs nothing but Python 3.10 to 3.14."""
