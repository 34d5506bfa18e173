"""Kernels compile at their first call: before the first test, not in it."""

from services.sla import kernels

kernels.warm()
