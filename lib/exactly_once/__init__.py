"""The exactly-once sink: ``from lib.exactly_once.sink import ExactlyOnceSink``."""
