"""What people on this machine can ask of their node."""
