"""The service on the NAS: one folder per feature, one inbox for every fact, one transaction per request or batch."""
