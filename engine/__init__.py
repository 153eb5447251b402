"""sortline's engine: machine records in, business events out, queues behind them."""

__version__ = "0.1.0"
