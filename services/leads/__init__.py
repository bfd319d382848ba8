"""The handoff: leads, offers, follow-ups, opportunities and the directory; decides no deadline."""
