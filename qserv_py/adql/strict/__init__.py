"""Strict mode: the grammar of ADQL 2.1 and nothing else."""
