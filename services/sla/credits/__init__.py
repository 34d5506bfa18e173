"""Service credits: what a contract pays back for a missed objective, with the sentences that explain it."""
