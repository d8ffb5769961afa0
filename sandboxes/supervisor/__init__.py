"""The program that is pid 1 inside a sandbox. Standard library only, few imports: its start is part of every cold start."""
