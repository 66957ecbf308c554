"""What several capabilities need."""
