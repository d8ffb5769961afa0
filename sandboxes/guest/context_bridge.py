"""A code context inside: one IPython kernel, spoken to by lines of JSON.

In: `{"id": N, "code": TEXT}` runs code, `{"interrupt": true}` interrupts it, the end of input ends all. Out: `ready`, then for
each run its output as it comes and one `done`. Nothing here is trusted by the node: the code that runs is the same user.
"""

import json
import os
import queue
import sys
import threading

PIECE_CHARS = 1 << 18
TRACE_LINES_MAX, TRACE_CHARS = 100, 8192
BUNDLE_CHARS_MAX = 3 << 19
MIME_TYPES = (
    "text/plain",
    "text/html",
    "text/markdown",
    "application/json",
    "image/png",
    "image/jpeg",
    "image/svg+xml",
)


def tell(event, **fields):
    """One line out."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def cut(text):
    """A word of an error within a limit."""
    text = str(text)
    return text if len(text) <= PIECE_CHARS else text[: PIECE_CHARS - 1] + "\u2026"


def trace(lines):
    """A traceback within limits; what is left out, in its middle, is named there."""
    lines = [str(line) for line in lines]
    if len(lines) > TRACE_LINES_MAX:
        half = TRACE_LINES_MAX // 2
        lines = [*lines[:half], f"... {len(lines) - 2 * half} lines left out ...", *lines[-half:]]
    return [line if len(line) <= TRACE_CHARS else line[: TRACE_CHARS - 1] + "\u2026" for line in lines]


def bundle(content):
    """(what a result can be shown as, whether something was too large for that and left out)."""
    shown, left, is_cut = {}, BUNDLE_CHARS_MAX, False
    for kind in MIME_TYPES:
        value = content.get("data", {}).get(kind)
        size = 0 if value is None else len(value if isinstance(value, str) else json.dumps(value))
        if value is not None and size <= left:
            shown[kind] = value
            left -= size
        elif value is not None:
            is_cut = True
    return shown, is_cut


class Bridge:
    """One kernel and its client."""

    def __init__(self):
        from jupyter_client.manager import KernelManager

        folder = f"/tmp/.context-{os.getpid()}"  # noqa: S108 - the sandbox's own
        os.mkdir(folder, 0o700)
        self.manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{folder}/k")
        self.manager.connection_file = f"{folder}/connection.json"
        self.manager.start_kernel(stdout=sys.stderr, stderr=sys.stderr)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, number, code):
        """Run code and tell what it does, until the kernel is idle again or dead."""
        # Without stop_on_error a kernel that has just failed may throw the next run away unseen.
        message_id = self.client.execute(code, allow_stdin=False, stop_on_error=False)
        count, is_cut = None, False
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=0.5)
            except queue.Empty:
                if self.manager.is_alive():
                    continue
                tell("died", id=number)
                os._exit(4)
            if message["parent_header"].get("msg_id") != message_id:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                for at in range(0, len(content["text"]), PIECE_CHARS):
                    tell(content["name"], id=number, data=content["text"][at : at + PIECE_CHARS])
            elif kind in ("execute_result", "display_data"):
                shown, was_cut = bundle(content)
                is_cut = is_cut or was_cut
                tell("result" if kind == "execute_result" else "display", id=number, data=shown)
            elif kind == "execute_input":
                count = content.get("execution_count")
            elif kind == "error":
                tell(
                    "error", id=number, name=cut(content["ename"]), value=cut(content["evalue"]),
                    traceback=trace(content["traceback"]),
                )  # fmt: skip
            elif kind == "status" and content["execution_state"] == "idle":
                tell("done", id=number, execution_count=count, cut=is_cut)
                return


def main():
    """Serve until the input ends."""
    try:
        import ipykernel  # noqa: F401
        import jupyter_client  # noqa: F401
    except ImportError as error:
        tell("unavailable", message=str(error))
        sys.exit(3)
    bridge = Bridge()
    runs = queue.Queue()

    def listen():
        for line in sys.stdin:
            asked = json.loads(line)
            if asked.get("interrupt"):
                bridge.manager.interrupt_kernel()
            else:
                runs.put(asked)
        runs.put(None)

    threading.Thread(target=listen, daemon=True).start()
    tell("ready")
    while True:
        asked = runs.get()
        if asked is None:
            break
        bridge.run(asked["id"], asked["code"])
    bridge.manager.shutdown_kernel(now=True)


main()
