"""The pages: in French, calm, live. Templates and static files here; every rule and every figure comes from a feature."""
