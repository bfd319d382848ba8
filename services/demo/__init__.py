"""A month of a small company, played through the real services and then shown running.

It owns no rule and no figure: it only does what people and systems of such a company would do.
"""
