"""Shapes and positions: what the geometric functions of ADQL, sciSQL, Qserv and Q3C mean."""
