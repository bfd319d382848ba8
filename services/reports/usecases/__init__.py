"""What reports does beside answering from its tables."""
