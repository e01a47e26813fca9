"""What all tests share: the cast, and a browser."""

pytest_plugins = ["tests.cast", "tests.chromium"]
