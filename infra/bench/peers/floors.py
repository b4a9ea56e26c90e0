"""What no way of doing the work can undercut: reading the files' bytes, splitting them into cells, writing the cells as Parquet."""

from __future__ import annotations

from pathlib import Path

import pyarrow.csv as pc
import pyarrow.parquet as pq

from infra.bench.peers.common import deliveries, headers, main


def read(folder: Path, listed: Path) -> None:
    for path, _, _ in deliveries(listed):
        with path.open("rb", buffering=0) as file:
            while file.read(2**22):
                pass


def _table(path: Path) -> pc.CSVStreamingReader:
    options = pc.ConvertOptions(column_types=dict.fromkeys(headers(path), "string"), strings_can_be_null=False)
    return pc.open_csv(
        path,
        read_options=pc.ReadOptions(column_names=headers(path), skip_rows=1),
        parse_options=pc.ParseOptions(invalid_row_handler=lambda row: "skip"),
        convert_options=options,
    )


def parse(folder: Path, listed: Path) -> None:
    for path, _, _ in deliveries(listed):
        for _ in _table(path):
            pass


def encode(folder: Path, listed: Path) -> None:
    for number, (path, _, _) in enumerate(deliveries(listed)):
        reader = _table(path)
        with pq.ParquetWriter(folder / f"{number}.parquet", reader.schema, compression="zstd", use_dictionary=False) as writer:
            for batch in reader:
                writer.write_batch(batch)


if __name__ == "__main__":
    main({"read": read, "parse": parse, "encode": encode})
