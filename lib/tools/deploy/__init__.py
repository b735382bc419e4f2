"""Sends a job whose driver starts on another machine, with ``--deploy-mode cluster`` on YARN."""
