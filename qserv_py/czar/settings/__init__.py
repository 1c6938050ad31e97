"""settings.yaml: what stands in it, and what each part takes of it."""
