"""What tests of several folders share: records, topics, loads, and the account of the answers."""
