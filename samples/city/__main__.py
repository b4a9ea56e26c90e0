"""Make a city: python -m samples.city OUT [--subjects N] [--years T] [--seed S] [--draw S] [--cadence real|monthly]"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from samples.city.make import make
from samples.city.parameters import parameters

LARGE = 1_000_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="./lake city", description="生成一座模拟城市：各部门的报送文件，以及流水线从不读取的真相")
    parser.add_argument("target", type=Path, help="空文件夹")
    parser.add_argument("--subjects", type=int, default=20_000, help="期末存续主体数")
    parser.add_argument("--years", type=int, default=3)
    parser.add_argument("--first-year", type=int, default=2023)
    parser.add_argument("--seed", type=int, default=1, help="同一种子得到同样的字节")
    parser.add_argument("--draw", type=int, help="评估用：参数从 rates.yaml 的范围里重新抽取，此为抽取的种子")
    parser.add_argument("--cadence", choices=("real", "monthly"), default="real", help="real：按日报送的每日一个文件；monthly：按月并成一个")
    given = parser.parse_args()
    began, shown = time.monotonic(), [0.0]

    def progress(what: str, share: float) -> None:
        if share >= 1 or time.monotonic() - shown[0] > 5:
            shown[0] = time.monotonic()
            print(f"{what} {share:.0%}  {time.monotonic() - began:.0f} 秒", file=sys.stderr, flush=True)

    try:
        says = make(parameters(given.subjects, given.years, given.seed, given.first_year, given.cadence, given.draw), given.target, progress)
    except (ValueError, OSError) as error:
        print(f"不能生成：{error}", file=sys.stderr)
        return 1
    print(f"{sum(says['rows'].values()):,} 条记录，{says['deliveries']:,} 个文件，{time.monotonic() - began:.0f} 秒")
    for name, claim in says["claims"].items():
        print(f"  {name}: 公布 {claim['published']:.4f}，生成 {claim['made']:.4f}")
    # A small city is noisy; a large one that misses what it claims has a fault.
    missed = [name for name, claim in says["claims"].items() if abs(claim["made"] / claim["published"] - 1) > 0.02]
    if given.subjects >= LARGE and missed:
        print(f"与公布的数字相差 2% 以上：{'、'.join(missed)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
