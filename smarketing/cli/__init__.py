"""The `smarketing` command: every job of a person or a script, built on the client alone."""
