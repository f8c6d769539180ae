"""Real servers with a made-up machine behind them, for the demo and the tests."""
