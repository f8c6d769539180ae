"""The pages: French, calm, live. Templates and static files; every rule and every figure comes from a feature."""
