"""The way in of calls: parse, ask a use case or a query, render."""
