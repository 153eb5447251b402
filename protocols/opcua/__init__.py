"""OPC UA: variables and events of a server, over asyncua.

In reading order: `settings` and `names` (what a site writes), `driver` (connect for ever), `connection` and `security`
(channel, session, certificates), `binding` (names to monitored items), `subscription` (messages in order), `flow`
(messages to the engine), `decode`, `variables`, `events` (pure: what they mean).
"""
