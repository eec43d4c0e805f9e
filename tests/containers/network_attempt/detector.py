"""Calls home."""

import socket
import sys

for family, address in (
    (socket.AF_INET, "1.1.1.1"),
    (socket.AF_INET, "169.254.169.254"),
    (socket.AF_INET6, "2606:4700::1111"),
):
    with socket.socket(family) as connection:
        connection.settimeout(2)
        try:
            connection.connect((address, 80))
        except OSError as error:
            print(address, error.strerror)
            continue
        sys.exit(0)
try:
    socket.getaddrinfo("example.org", 80)
except OSError:
    sys.exit("no network")
