"""Tools around the scoring job: the embedded broker, the demonstration, the work of other jobs."""
