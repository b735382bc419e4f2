"""What users of other tools would write, one file for each tool; see docs/peers.md.

Each takes the same arguments: bootstrap servers, input topic, output topic, group, model, threshold
and a folder of its own, then what else it needs. It runs until SIGTERM.
"""
