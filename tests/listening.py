"""Which ports a process and all that it has started can be reached at from other machines."""

import psutil


def beyond_loopback(process: psutil.Process) -> set[tuple[str, int]]:
    """Addresses and ports on which it or a process below it listens, other than those of the loopback."""
    found = set()
    for each in [process, *process.children(recursive=True)]:
        try:
            connections = each.net_connections("inet")
        except psutil.Error:  # ended meanwhile
            continue
        found |= {tuple(one.laddr) for one in connections if one.status == psutil.CONN_LISTEN}
    return {(ip, port) for ip, port in found if not ip.removeprefix("::ffff:").startswith("127.") and ip != "::1"}
