"""What is shown to people and to Prometheus: pages, and business metrics from the read model."""
