"""The command `taskflow`."""
