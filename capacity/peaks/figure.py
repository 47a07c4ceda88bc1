"""Pictures of the worst second."""
