"""The way in of other services' events, translated at once into this service's words."""
