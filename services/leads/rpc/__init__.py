"""The way in by gRPC: parse, ask, render."""
