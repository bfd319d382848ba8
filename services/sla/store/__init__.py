"""Where agreements, clocks and alerts are kept: tables, one unit of work, and the queries of the reads."""
