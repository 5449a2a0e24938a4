"""The asyncio gRPC server: what happens around every call, and thin servicers over core."""
