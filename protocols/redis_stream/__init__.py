"""Redis Streams: order systems that write to a stream, read as a consumer group."""
