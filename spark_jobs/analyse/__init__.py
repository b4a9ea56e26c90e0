"""Analyses of the city's economy: formulas in modules of their own, and what puts the lake's figures into them."""
