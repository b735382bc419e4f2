"""One Kafka transaction with messages and offsets, and what happens when it fails."""
