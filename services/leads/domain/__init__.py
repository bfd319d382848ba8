"""What a handoff is and may become; the standard library and our two calculators alone."""
