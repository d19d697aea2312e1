"""A network of its own: loopback with one more address, which is not of loopback. Says `ready`, and lasts as long as its input.

Run in a new network name space (`unshare --net`), where nothing is up and nobody else is.
"""

import fcntl
import socket
import struct
import sys

ADDRESS = "10.77.0.1"

# Source: linux/sockios.h and linux/if.h.
SIOCSIFADDR, SIOCSIFFLAGS, IFF_UP = 0x8916, 0x8914, 1


def request(name, rest):
    return struct.pack("16s", name.encode()) + rest


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    up = struct.pack("h", IFF_UP).ljust(24, b"\0")
    fcntl.ioctl(control, SIOCSIFFLAGS, request("lo", up))
    address = struct.pack("HH4s", socket.AF_INET, 0, socket.inet_aton(ADDRESS)).ljust(24, b"\0")
    fcntl.ioctl(control, SIOCSIFADDR, request("lo:1", address))
print("ready", flush=True)
sys.stdin.read()
