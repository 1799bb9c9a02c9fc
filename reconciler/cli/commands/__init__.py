"""One small file per noun; a module here with a ``command`` is a command."""
