"""What an SLA report says, as canonical bytes, and how it looks as CSV, HTML and PDF."""
