"""What no way of doing the work can undercut: reading the files' bytes, splitting them into cells, writing the cells as Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.csv as pc
import pyarrow.parquet as pq

from infra.bench.peers.common import REGISTER, columns, deliveries, lots, main


def read(folder: Path, listed: Path) -> None:
    for sent in deliveries(listed):
        with sent.path.open("rb", buffering=0) as file:
            while file.read(2**22):
                pass


def _tables(listed: Path) -> Iterator[pc.CSVStreamingReader]:
    for lot in lots(deliveries(listed)):
        names = columns(REGISTER, lot.headers)
        options = pc.ConvertOptions(column_types=dict.fromkeys(names, "string"), strings_can_be_null=False)
        for sent in lot.sent:
            yield pc.open_csv(
                sent.path,
                read_options=pc.ReadOptions(column_names=names, skip_rows=1),
                parse_options=pc.ParseOptions(invalid_row_handler=lambda row: "skip"),
                convert_options=options,
            )


def parse(folder: Path, listed: Path) -> None:
    for reader in _tables(listed):
        for _ in reader:
            pass


def encode(folder: Path, listed: Path) -> None:
    for number, reader in enumerate(_tables(listed)):
        with pq.ParquetWriter(folder / f"{number}.parquet", reader.schema, compression="zstd", use_dictionary=False) as writer:
            for batch in reader:
                writer.write_batch(batch)


if __name__ == "__main__":
    main({"read": read, "parse": parse, "encode": encode})
