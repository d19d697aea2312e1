"""Which addresses names lead to."""

import os
import socket

AWS_DOMAINS = ("amazonaws.com", "amazonaws.com.cn", "api.aws", "amazonaws.eu")


def map_hosts(hosts, aws):
    """Answers name lookups so that no request meant for AWS leaves the machine."""
    table = {name.lower(): (address, port) for name, address, port in hosts}
    exempt = set()
    for name, value in os.environ.items():
        if name.startswith("AWS_ENDPOINT_URL") and "//" in value:
            host = value.split("//", 1)[1].split("/", 1)[0].rsplit("@", 1)[-1]
            exempt.add(host.split(":", 1)[0].lower())

    def mapped(host):
        if isinstance(host, (bytes, bytearray)):
            host = bytes(host).decode("ascii", "replace")
        if not isinstance(host, str):
            return None
        host = host.lower().rstrip(".")
        if host in table:
            return table[host]
        wildcard = "*." + host.partition(".")[2]
        if wildcard in table:
            return table[wildcard]
        if host in exempt or not host.endswith(AWS_DOMAINS):
            return None
        for domain in AWS_DOMAINS:
            if host == domain or host.endswith("." + domain):
                return aws
        return None

    getaddrinfo, gethostbyname = socket.getaddrinfo, socket.gethostbyname

    def mapped_getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
        target = mapped(host)
        if target is None:
            return getaddrinfo(host, port, family, type, proto, flags)
        # Whatever family was asked for: the address given is the one that answers. Port 0 leaves the port as it is.
        return getaddrinfo(target[0], target[1] or port, 0, type, proto, 0)

    def mapped_gethostbyname(host):
        target = mapped(host)
        return gethostbyname(host) if target is None else target[0]

    socket.getaddrinfo, socket.gethostbyname = mapped_getaddrinfo, mapped_gethostbyname
