"""What Prometheus sees of this service."""
