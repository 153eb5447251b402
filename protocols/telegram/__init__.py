"""Telegrams over TCP, as material flow controllers have spoken for decades: framed, of fixed fields, acknowledged."""
