"""One function for each thing a person would name."""
