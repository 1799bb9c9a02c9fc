"""Sealed, immutable pulls: Parquet files and the manifest that vouches for them."""
