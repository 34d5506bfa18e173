"""Incidents as promises see them: the clock that runs from open to resolved, and where it stands."""
