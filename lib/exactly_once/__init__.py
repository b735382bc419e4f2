"""The exactly-once sink: ``from lib.exactly_once.sink import ExactlyOnceSink``.

The folders in the order in which a start and then each batch use them:

- ``checkpoint``: what Spark's checkpoint says, and two notes that the sink keeps in it.
- ``offsets``: pure decisions: who has committed the group's offsets, and where a start resumes.
- ``start``: a start waits for the run before it, takes the query over, or refuses to.
- ``commit``: a batch is committed on the driver, or each of its partitions on an executor.
- ``transaction``: one Kafka transaction holds messages and the offsets of the records they answer.
"""
