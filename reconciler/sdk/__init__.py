"""Everything a connector may import, and nothing that a connector must not see."""
