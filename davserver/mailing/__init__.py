"""Mail: handed to a server, or to nobody. Knows nothing of users and of what is written to them."""
