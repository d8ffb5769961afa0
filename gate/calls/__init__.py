"""What strangers may reach inside a sandbox, and how they pay for it call by call (`design/calls.md`)."""
