"""What a network has learnt, not only where it looks."""
