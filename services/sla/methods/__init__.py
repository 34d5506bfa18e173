"""How availability is measured: policies as data, and the arithmetic that applies them to slices."""
