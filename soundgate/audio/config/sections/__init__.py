"""Sections of user configs that several systems share; each system's own config gathers them."""
