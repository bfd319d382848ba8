"""What survives which fault: `python -m tests.faults`."""
