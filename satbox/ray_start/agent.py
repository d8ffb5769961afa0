"""Stands in for one of Ray's agents: `python -I -S agent.py KIND --session-dir=FOLDER --node-id=ID`.

A raylet starts two agents and ends when one of them does. The dashboard's agent serves a dashboard and metrics that nobody
reads here. The runtime environments' agent installs packages for actors, and ours need none. Each takes a second of CPU
at start and 60 MB. In their place this says where they listen, answers nobody, and ends with its raylet.

A raylet may ask the second one for something. So its port is held, and never listened on: nobody else can take the port
and be sent the cluster's token.
"""

import os
import socket
import sys

KINDS = {
    "dashboard": ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port"),
    "runtime_env": ("runtime_env_agent_port",),
}
NOT_IN_USE = -1


def main(kind: str, session: str, node_id: str) -> None:
    """Write the files that the raylet waits for; then wait for its end."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    port = NOT_IN_USE if kind == "dashboard" else held.getsockname()[1]
    for name in KINDS[kind]:
        path = os.path.join(session, f"{name}_{node_id}")
        with open(f"{path}.new", "w") as file:
            file.write(str(port))
        os.replace(f"{path}.new", path)
    while os.read(0, 4096):  # the raylet holds the other end
        pass


if __name__ == "__main__":
    given = dict(argument[2:].split("=", 1) for argument in sys.argv[2:])
    main(sys.argv[1], given["session-dir"], given["node-id"])
