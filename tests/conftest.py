"""What all tests share: the cast."""

pytest_plugins = ["tests.cast"]
