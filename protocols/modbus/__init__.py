"""Modbus TCP: registers polled, mailboxes acknowledged, rings read. Settings, pure decoders, driver."""
