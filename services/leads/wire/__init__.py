"""The dictionary: protobuf messages and domain values, both ways."""
