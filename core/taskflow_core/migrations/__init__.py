"""The history of the schema; `taskflow migrate` applies it."""
