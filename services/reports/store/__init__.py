"""Tables of facts and of sums, the fold that keeps them, and the questions they answer."""
