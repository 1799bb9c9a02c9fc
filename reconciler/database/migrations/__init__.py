"""The schema's history. Each module in ``versions`` takes a database one step further; none is ever altered."""
