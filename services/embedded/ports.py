"""Is a port free, and if not: who has it?"""

import socket
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class PortHolder:
    """The process that listens on a port, as far as this user may see."""

    port: int
    pid: int | None
    name: str

    def __str__(self) -> str:
        who = f"{self.name} (pid {self.pid})" if self.pid is not None else self.name
        return f"port {self.port} is taken by {who}"


def holder_of(host: str, port: int) -> PortHolder | None:
    """The holder of a listening port, or None when it is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return _describe(port)
    return None


def _describe(port: int) -> PortHolder:
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return PortHolder(port, None, "another user's process")
    for connection in connections:
        if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
            if connection.pid is None:
                break
            try:
                process = psutil.Process(connection.pid)
                return PortHolder(port, connection.pid, " ".join(process.cmdline()[:3]) or process.name())
            except psutil.Error:
                break
    return PortHolder(port, None, "a process that this user cannot see")
