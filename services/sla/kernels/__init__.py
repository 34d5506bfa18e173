"""Pure arithmetic over arrays: increments, slices, buckets, quantiles, coverage, states, windows.

Kernels take C-contiguous int64 and float64 arrays that their callers have checked, and know nothing of
services, engines or time zones.
"""

from services.sla.kernels.warming import warm

__all__ = ["warm"]
