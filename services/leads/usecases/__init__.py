"""One function per thing a person would name, each one unit of work."""
