"""What a person, the log or the clock on the wall makes this service do; one unit of work each."""
