"""What is paid: sandboxes, wakes, calls, reclaims, and what things cost."""
