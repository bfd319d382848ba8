"""Owns agreements, calendars, clocks, ladders, alerts, exceptions and error budgets; decides every deadline.

It learns what happened from the leads log and calls no other service: what it wants done it says in
its own log.
"""
