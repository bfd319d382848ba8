"""The three processes: leads, sla and reports; they know one another by contracts and logs alone."""
