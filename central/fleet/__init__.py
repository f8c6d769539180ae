"""The agents: which are there, how far behind, what their parts and sources say."""
