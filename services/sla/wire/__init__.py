"""The dictionary between this service's words and protobuf; pure functions."""
