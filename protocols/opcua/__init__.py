"""OPC UA: variables and events of a server, over asyncua.

In reading order: `settings` and `names` (what a site writes), `driver` (connect for ever), `connection`, `transport`
and `security` (channel, session, certificates), `binding` (names to monitored items), `subscribing`, `subscription` and
`publishing` (messages in order, over lost connections), `flow` (messages to the engine); pure, what they mean:
`decode`, `structures`, `variables` and `events`. Notifications are read in `ext.opcua_notifications`.
"""
