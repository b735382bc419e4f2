"""Programs as users of other tools would write them, one file for each; see docs/peers.md.

Each program takes the same arguments: bootstrap servers, input topic, output topic, group, model,
threshold and its own folder, and then what else it needs. It runs until SIGTERM.
"""
