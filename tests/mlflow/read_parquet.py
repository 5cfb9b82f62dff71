#!/usr/bin/env python3
"""Reads a Parquet file of `trace-server export` as those do who analyse it, with pandas, and prints each row as the API has it.

    read_parquet.py FILE    a trace a line, as GET /api/traces/{trace_id} answers it, as far as columns have it
"""

import json
import sys

import pandas as pd

ITEMS = ("assessments", "spans")
MAPS = ("trace_metadata", "tags")


def main() -> None:
    frame = pd.read_parquet(sys.argv[1])
    for row in frame.to_dict(orient="records"):
        row = {name: None if is_missing(value) else value for name, value in row.items()}
        row |= {name: [json.loads(item) for item in row[name]] for name in ITEMS}
        row |= {name: dict(row[name]) for name in MAPS}
        if (duration := row["execution_duration_ms"]) is not None:
            row["execution_duration_ms"] = int(duration)
        # To the millisecond, as the API writes it.
        row["request_time"] = f"{row['request_time']:%Y-%m-%dT%H:%M:%S}.{row['request_time'].microsecond // 1000:03}Z"
        print(json.dumps(row))


def is_missing(value: object) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


if __name__ == "__main__":
    main()
