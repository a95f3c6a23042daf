"""`node doctor`: what would go wrong on this machine, each finding with its fix."""
