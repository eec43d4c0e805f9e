"""All writes. A view, a task or a command parses, calls one function here, and answers."""
