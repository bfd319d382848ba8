"""Owns the figures that both departments share: read models folded from the logs of leads and sla, and pages.

It decides nothing about handoffs or clocks, calls no other service, and holds no personal data.
"""
