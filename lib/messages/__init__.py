"""What is written to Kafka: the columns of a message, its headers, the dead letter. Pure Python."""
