"""The way in for callers: who may ask, what is refused, and one method for each question."""
