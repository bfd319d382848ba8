"""What every server process shares: the edge of a call, its record, and the life of the process."""
