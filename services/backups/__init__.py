"""Backups of all three services at one instant, put back together, and checked as one.

`python -m services backup`, `restore`, `verify` and `refold`. It knows the services' files and how their
logs name one another, and nothing of what is in them beyond the checks that they have themselves.
"""
