"""Measurements: ours beside its floor and beside a naive rival, interleaved in one run."""
