"""The options of Kafka's two client families: their names, forms and values."""
