"""OPC UA servers, nodes mapped by configuration."""
