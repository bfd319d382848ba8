"""The rules of the handoff: what a sales manager would argue about."""
