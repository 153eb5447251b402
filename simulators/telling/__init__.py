"""The story over the wire, as vendors' devices would tell it: MQTT, Modbus TCP, OPC UA, and the order system's context.

Each module's docstring is the manual of its device interface: topics and JSON, register addresses, nodes.
"""
