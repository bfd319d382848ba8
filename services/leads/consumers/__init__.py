"""What this service makes of other services' events."""
