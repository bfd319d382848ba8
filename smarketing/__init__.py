"""The library that every smarketing process and every caller shares; it knows no service."""
