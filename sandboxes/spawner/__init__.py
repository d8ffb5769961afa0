"""The small root process that starts sandboxes and holds everything that has to die with the node.

It lives in a mount namespace of its own: the workspace mounts and their loop devices exist only there, so when it dies the
kernel takes them down. It is single-threaded and the parent of every sandbox, so die-with-parent follows it. Standard
library only: it forks for every start, and a small process forks fast.
"""
