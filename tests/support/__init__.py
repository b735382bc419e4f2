"""Share records, topics, loads and the check of answers among the tests of several folders."""
