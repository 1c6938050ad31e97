"""One planning: stages are added in the order in which they run."""
