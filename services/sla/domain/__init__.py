"""What the sla service decides, and nothing of how it is asked, stored or sent."""
