"""The REST door, at ``/api``. Nothing is loaded until its first request: see `davserver.rest.door`."""
