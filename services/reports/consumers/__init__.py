"""The ways in from the logs: events of others, put into this service's own words at once."""
