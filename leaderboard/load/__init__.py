"""A benchmark of invented detectors, as large as is asked for, to measure the server with."""
