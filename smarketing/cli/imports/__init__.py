"""Import of history: any CSV file through a mapping, resumable, with constant memory."""
