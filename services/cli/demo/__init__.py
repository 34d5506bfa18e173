"""The demonstration: three companies on the real OpenTelemetry SDK, an outage, an alert, a recovery."""
