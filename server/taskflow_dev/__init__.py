"""The embedded stack: PostgreSQL, Valkey and Envoy from wheels, and `taskflow dev`, which runs them all."""
