"""Random names for things that people and programs see."""

import secrets

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
LENGTH = 22


def new_uid() -> str:
    """22 characters of `[a-z0-9]`: 113 bits, so a uid cannot be guessed and needs no check."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
