"""Made-up firms with trade names of their own, and filings that come close to these."""

from __future__ import annotations

import datetime as dt
from typing import Any

from infra.clock import CHINA

TODAY = dt.datetime.now(CHINA).date()
FILED, PUBLISHED = TODAY - dt.timedelta(days=200), TODAY - dt.timedelta(days=10)
# Made-up names of made-up firms.
OWNERS = {"云朗阁": "餐饮", "凤鸣轩": "餐饮", "拾味坊": "餐饮", "九穗堂": "餐饮"}
SQUATTER, ONCE = "义乌市测试商贸有限公司", "金华市测试食品有限公司"
FILINGS = [
    ("990000001", "云郎阁", SQUATTER), ("990000002", "凤呜轩", SQUATTER), ("990000003", "拾味坊酒楼", SQUATTER), ("990000004", "九穗唐", ONCE), ("990000005", "无关之名", ONCE),
    ("990000006", "云朗阁", "广州市测试村云朗阁餐饮有限公司"),
]  # fmt: skip


def send_marks(published: Any) -> None:
    """Subjects with trade names of their own, and filings that come close to these: by one who does so three times, by one who does so once."""
    rows = [f"广州市测试村{name}{trade}有限公司,,2019-05-0{n + 1},广州市天河区体育西路{n + 1}号" for n, (name, trade) in enumerate(OWNERS.items())]
    published.send("marks-owners.csv", rows)
    head = "申请号,申请日期,商标名称,国际分类,类似群,申请人,申请人代码,申请人地址,代理机构"
    lines = [f"{number},{FILED},{mark},43,4301,{who},,浙江省测试市测试路1号,测试代理" for number, mark, who in FILINGS]
    published.send_to("trademark_applications", f"商标申请_{TODAY}.csv", [head, *lines])
    head = "公告期号,初审公告日期,申请号,商标名称,国际分类,申请人,代理机构"
    lines = [f"1900,{PUBLISHED},{number},{mark},43,{who},测试代理" for number, mark, who in FILINGS[:2]]
    published.send_to("trademark_publications", f"初审公告_{TODAY}.csv", [head, *lines])
