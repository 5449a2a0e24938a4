"""What the TaskFlow service knows and promises: rows, transitions, queue, events. No gRPC, no protobuf."""

__version__ = "0.1.0"
