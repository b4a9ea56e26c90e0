"""What is delivered: the feeds, who sends them, in which form, how often. Headers are those of the sending systems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

DAILY, WEEKLY, MONTHLY, QUARTERLY, YEARLY, ONCE = "daily", "weekly", "monthly", "quarterly", "yearly", "once"


@dataclass(frozen=True)
class Feed:
    """``form``: csv, gb18030 (CSV in that encoding), json (a record in each line), xlsx, xls, spreadsheetml, xml or gz (of CSV).

    Spreadsheets and XML are made of small deliveries only (`forms.LARGEST`), else CSV. ``code``, ``name``, ``date``, ``amount``: the headers
    that dirt falls on, if any. ``full``: the first delivery holds all that there was before the period.
    """

    name: str
    chinese: str
    department: str
    form: str
    cadence: str
    headers: tuple[str, ...]
    code: str = ""
    name_column: str = ""
    date: str = ""
    amount: str = ""
    full: bool = False


@dataclass(frozen=True)
class Rows:
    """Records of a feed that came into being: the day on which the source system took each down, and the delivered texts by header.

    ``subject``: whose record it is (place in the population), -1 for nobody's.
    """

    feed: str
    day: np.ndarray
    columns: Mapping[str, pa.Array]
    subject: np.ndarray


def _feed(name: str, chinese: str, department: str, form: str, cadence: str, headers: str, **more: object) -> Feed:
    return Feed(name, chinese, department, form, cadence, tuple(headers.split()), **more)  # type: ignore[arg-type]


_C, _N = "统一社会信用代码", "企业名称"
_REGISTRY, _PLATFORM, _DISTRICTS = "登记注册处", "市政务数据共享平台", "各区市场监督管理局"
FEEDS = {
    f.name: f
    for f in (
        _feed("registration_subjects", "主体基本信息", _REGISTRY, "csv", DAILY, f"{_N} {_C} 注册日期 企业类型 法人代表 注册资金 经营范围 所在省份 地区 注册地址 行业 登记机关 管辖机关", code=_C, name_column=_N, date="注册日期", amount="注册资金", full=True),
        _feed("registration_changes", "变更登记", _REGISTRY, "csv", DAILY, f"{_C} {_N} 变更事项 变更前内容 变更后内容 核准日期", code=_C, name_column=_N, date="核准日期"),
        _feed("registration_cancellations", "注销吊销", _REGISTRY, "csv", DAILY, f"{_C} {_N} 类型 日期 原因", code=_C, name_column=_N, date="日期", full=True),
        _feed("shareholders", "股东出资", _REGISTRY, "csv", DAILY, f"{_C} {_N} 股东名称 股东类型 股东统一社会信用代码 股东证件摘要 认缴出资额（万元） 实缴出资额（万元） 出资比例 变动类型 生效日期", code=_C, name_column=_N, date="生效日期", amount="认缴出资额（万元）", full=True),
        _feed("key_persons", "主要人员", _REGISTRY, "json", DAILY, f"{_C} {_N} 姓名 职务 任职日期", code=_C, name_column=_N, date="任职日期", full=True),
        _feed("branches", "分支机构", _REGISTRY, "csv", DAILY, f"{_C} {_N} 分支机构代码 分支机构名称 成立日期", code=_C, name_column=_N, date="成立日期", full=True),
        _feed("annual_reports", "年度报告", "企业监管处", "gb18030", DAILY, f"{_C} {_N} 报告年度 报送日期 经营状态 从业人数 资产总额（万元） 营业收入（万元） 纳税总额（万元） 是否公示从业人数", code=_C, name_column=_N, date="报送日期", amount="营业收入（万元）"),
        _feed("inspection_items", "随机抽查事项清单", "信用监管处", "xlsx", YEARLY, "事项编号 抽查类别 抽查事项 检查对象 检查方式 实施依据 生效日期", date="生效日期"),
        _feed("inspectors", "执法检查人员名录库", _DISTRICTS, "xls", YEARLY, "人员编号 姓名 单位 执法证号 专长 状态 登记日期", date="登记日期"),
        _feed("inspection_plans", "双随机抽查计划", "信用监管处", "xlsx", YEARLY, "计划编号 年度 抽查事项编号 抽取比例 开始日期 结束日期", date="开始日期"),
        _feed("inspection_results", "双随机抽查结果", _DISTRICTS, "xlsx", MONTHLY, f"任务编号 计划编号 {_C} {_N} 检查人员编号1 检查人员编号2 检查日期 检查结果 公示日期", code=_C, name_column=_N, date="检查日期"),
        _feed("abnormal_list", "经营异常名录", "信用监管处", "csv", WEEKLY, f"{_C} {_N} 列入日期 列入原因 作出决定机关 移出日期 移出原因", code=_C, name_column=_N, date="列入日期"),
        _feed("individual_marks", "个体工商户经营异常标记", "信用监管处", "csv", WEEKLY, f"{_C} 名称 标记日期 标记原因 恢复日期", code=_C, name_column="名称", date="标记日期"),
        _feed("serious_list", "严重违法失信名单", "信用监管处", "xls", MONTHLY, f"{_C} {_N} 列入日期 列入事由 移出日期", code=_C, name_column=_N, date="列入日期"),
        _feed("credit_repairs", "信用修复", "信用监管处", "json", WEEKLY, f"{_C} {_N} 修复类型 申请日期 决定日期 决定结果", code=_C, name_column=_N, date="决定日期"),
        _feed("enforcement_cases", "执法案件", "执法监督处", "csv", WEEKLY, f"案件编号 {_C} 当事人 环节 环节日期 案由 承办单位", code=_C, name_column="当事人", date="环节日期"),
        _feed("penalties", "行政处罚", "执法监督处", "csv", WEEKLY, f"决定书文号 {_C} 当事人 处罚类别 违法行为类型 罚款金额（万元） 没收金额（万元） 决定日期 公示截止期", code=_C, name_column="当事人", date="决定日期", amount="罚款金额（万元）"),
        _feed("licences", "行政许可", "行政许可处", "csv", WEEKLY, f"许可编号 {_C} {_N} 许可内容 许可机关 决定日期 有效期至", code=_C, name_column=_N, date="决定日期"),
        _feed("risk_classes", "企业信用风险分类", "信用监管处", "gz", QUARTERLY, f"{_C} {_N} 风险等级 评定日期", code=_C, name_column=_N, date="评定日期"),
        _feed("advertising", "广告监测", "广告监管处", "xlsx", MONTHLY, "监测编号 媒体 广告主代码 广告主 广告类别 监测日期 是否涉嫌违法 违法表现", code="广告主代码", name_column="广告主", date="监测日期"),
        _feed("complaints", "12315诉求登记", "12315投诉举报中心", "json", DAILY, "登记编号 登记时间 诉求类型 客体类别 商品服务类别 问题类别 被诉主体名称 被诉主体代码 被诉主体所在区 诉求人 联系电话 诉求内容 争议金额", code="被诉主体代码", name_column="被诉主体名称", amount="争议金额"),
        _feed("complaint_steps", "12315办理环节", "12315投诉举报中心", "json", DAILY, "登记编号 环节 环节时间 办理单位 结果 挽回损失"),
        _feed("trademark_applications", "商标申请", "知识产权保护处", "csv", WEEKLY, "申请号 申请日期 商标名称 国际分类 类似群 申请人 申请人代码 申请人地址 代理机构", code="申请人代码", name_column="申请人", date="申请日期"),
        _feed("trademark_publications", "商标初审公告", "知识产权保护处", "xml", WEEKLY, "公告期号 初审公告日期 申请号 商标名称 国际分类 申请人 代理机构", name_column="申请人", date="初审公告日期"),
        _feed("trademark_registrations", "商标注册公告", "知识产权保护处", "xml", WEEKLY, "注册号 注册公告日期 商标名称 国际分类 注册人 专用期开始 专用期截止", name_column="注册人", date="注册公告日期", full=True),
        _feed("trademark_outcomes", "商标异议无效撤销注销", "知识产权保护处", "csv", MONTHLY, "申请号 程序 申请主体 决定日期 结果", date="决定日期"),
        _feed("trademark_renewals", "商标续展转让", "知识产权保护处", "csv", MONTHLY, "注册号 事项 公告日期 原注册人 现注册人 新专用期截止", date="公告日期"),
        _feed("trademark_agents", "商标代理机构", "知识产权保护处", "xlsx", YEARLY, "代理机构名称 备案日期 所在地", date="备案日期"),
        _feed("tax_flags", "税务登记与纳税状态", _PLATFORM, "gz", QUARTERLY, f"{_C} {_N} 所属期 纳税状态 纳税信用等级 认定日期", code=_C, name_column=_N, date="认定日期"),
        _feed("social_security", "社保参保人数", _PLATFORM, "gz", QUARTERLY, f"{_C} {_N} 统计期 参保人数 统计日期", code=_C, name_column=_N, date="统计日期"),
        _feed("other_penalties", "其他部门行政处罚", _PLATFORM, "csv", WEEKLY, f"{_C} {_N} 处罚部门 文号 事由 决定日期", code=_C, name_column=_N, date="决定日期"),
        _feed("other_licences", "其他部门行政许可", _PLATFORM, "csv", WEEKLY, f"{_C} {_N} 许可部门 证号 许可内容 决定日期 有效期至", code=_C, name_column=_N, date="决定日期"),
        _feed("court_enforcement", "法院被执行人名单", _PLATFORM, "csv", WEEKLY, f"案号 {_C} 被执行人 执行法院 立案日期 执行标的（元）", code=_C, name_column="被执行人", date="立案日期", amount="执行标的（元）"),
        _feed("macro_statistics", "宏观统计", "市统计局", "xlsx", QUARTERLY, "指标 时期 数值 单位 发布日期 版本", date="发布日期"),
        _feed("association_figures", "行业协会数据", "市行业协会", "xls", QUARTERLY, "协会 行业门类 时期 指标 数值 单位 报送日期", date="报送日期"),
        _feed("public_opinion", "舆情信息", "宣传处", "json", DAILY, "编号 发布时间 来源 标题 涉及主体 情感"),
        _feed("control_totals", "源系统对账单", "信息中心", "csv", MONTHLY, "资源 日期 记录数"),
    )
}  # fmt: skip
