"""One Kafka transaction: messages, the offsets they answer, and what to do when it fails."""
