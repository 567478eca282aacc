"""How often something may be done: rules counted by the `limits` library, in Redis or in a file that all processes share."""
