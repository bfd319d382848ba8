"""The event log of a service: written in the same transaction as the facts, read and followed by everyone."""
