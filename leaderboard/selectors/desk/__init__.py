"""What maintainers see of the server's work. Each module reads one part in a constant number of queries."""
