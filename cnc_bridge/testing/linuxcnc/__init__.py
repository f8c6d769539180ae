"""The simulated LinuxCNC's configuration, its programme, and the script that lives with it."""
