"""Kernels compile at their first call, which no deadline of a property test should have to know."""

from hypothesis import settings

from services.sla import kernels

settings.register_profile("compiled", deadline=None)
settings.load_profile("compiled")
kernels.warm()
