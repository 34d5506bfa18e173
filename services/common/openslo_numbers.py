"""Decimals in YAML that never go through a float."""


class Number(str):
    """A decimal number that is written as it is."""
