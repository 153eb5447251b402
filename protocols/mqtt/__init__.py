"""MQTT: machines that publish to a broker."""
