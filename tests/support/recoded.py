"""Deliveries about subjects whose code changes or is mistyped; codes are drawn, their checks fit."""

import random

from spark_jobs.refine.identifiers import ALPHABET, credit_code_check, organisation_code_check

CHANGES = "统一社会信用代码,企业名称,变更事项,变更前内容,变更后内容,核准日期"
PENALTIES = "决定书文号,统一社会信用代码,当事人,处罚类别,决定日期"
EXITS = "统一社会信用代码,企业名称,类型,日期,原因"
DEMANDS = "登记编号,登记时间,诉求类型,问题类别,被诉主体名称,被诉主体代码,被诉主体所在区"
STEPS = "登记编号,环节,环节时间,结果,挽回损失"


def code(chance: random.Random) -> str:
    """A credit code whose checks fit; its organisation part begins as none that was issued."""
    first = "YT" + "".join(chance.choices("0123456789", k=6))
    body = "91440101" + first + organisation_code_check(first)
    return body + credit_code_check(body)


def mistyped(text: str) -> str:
    return text[:10] + ALPHABET[(ALPHABET.index(text[10]) + 1) % 31] + text[11:]


class Codes:
    """Subjects whose code changes, or is mistyped, penalties that name them in every way, and demands with their steps."""

    def __init__(self, seed):
        chance = random.Random(seed)
        self.tag = chance.randrange(10**6)
        self.old, self.new, self.typed, self.later = (code(chance) for _ in range(4))
        self.unheard, self.shareholder = [code(chance), code(chance)], [code(chance), self.typed]
        self.moved, self.wrong, self.late = (f"广州市测试{what}{self.tag}有限公司" for what in ("更码", "错码", "后来"))
        self.said = f"测试路略称{self.tag}五金店"
        self.gone, self.back = ((code(chance), f"广州市测试{what}{self.tag}有限公司") for what in ("退出", "恢复"))

    def send(self, published):
        place = f"2019-02-03,广州市天河区测试{self.tag}路"
        published.send(f"一_{self.tag}_2019-03-31.csv", [f"{self.moved},{self.old},{place}1号", f"{self.wrong},{self.typed},{place}2号"])
        published.send(
            f"退_{self.tag}_2018-03-31.csv", [f"{name},{c},2018-02-03,广州市花都区测试{self.tag}路9号" for c, name in (self.gone, self.back)]
        )
        self._send_exits(published, "退出", *(f"{','.join(of)},吊销,2018-04-20,逾期未报" for of in (self.gone, self.back)))
        published.send(f"二_{self.tag}_2019-04-30.csv", [f"{self.moved},{self.new},{place}1号", f"{self.wrong},{mistyped(self.typed)},{place}2号"])
        lines = [
            (self.old, self.moved),
            (self.new, self.moved),
            (mistyped(self.typed), self.wrong),
            ("", self.wrong),
            (mistyped(self.later), "广州市测试查无此户有限公司"),
            (self.later, self.late),
        ]
        penalties = [f"穗演示归〔{self.tag}〕{n}号,{c},{name},警告,2019-03-01" for n, (c, name) in enumerate(lines)]
        published.send_to("penalties", f"归属_{self.tag}_2019-04-30.csv", [PENALTIES, *penalties])
        demands = [
            f"演示诉{self.tag}1,2018-03-09T18:00:00Z,投诉,质量,{self.moved},{self.old},",
            f"演示诉{self.tag}3,2018-03-10T18:00:00Z,举报,质量,{self.said},,天河区",
        ]
        published.send_to("complaints", f"诉求_{self.tag}_2018-06-30.csv", [DEMANDS, *demands])
        published.send(f"店_{self.tag}_2019-03-31.csv", [f"广州市{self.said},,2019-02-03,广州市天河区一路5号"])
        steps = [f"演示诉{self.tag}1,初查,2018-03-12,受理,", f"演示诉{self.tag}2,初查,2018-03-13,受理,"]
        published.send_to("complaint_steps", f"办理_{self.tag}_2018-06-30.csv", [STEPS, *steps])

    def _send_exits(self, published, what, *lines):
        published.send_to("registration_cancellations", f"{what}_{self.tag}_2018-06-30.csv", [EXITS, *lines])

    def send_changes(self, published):
        """A change of the code; beside it one of codes that nobody has heard of, and one about a shareholder; and the first once more, with the
        name put right. Of two that were struck off one has left, one is back. A demand that turns out to be about somebody else, and one whose step came first; a second shop that the name in
        another demand may be short for."""
        changes = [
            (self.new, self.moved, "统一社会信用代码更正", self.old, self.new),
            (self.unheard[0], "广州市测试未见有限公司", "统一社会信用代码更正", *self.unheard),
            (self.new, self.moved, "投资人变更", *self.shareholder),
        ]
        published.send_to("registration_changes", f"更码_{self.tag}_2019-04-30.csv", [CHANGES, *(f"{','.join(c)},2019-04-15" for c in changes)])
        again = f"{self.new},{self.moved}（简称：更码）,统一社会信用代码更正,{self.old},{self.new},2019-04-15"
        published.send_to("registration_changes", f"更码补_{self.tag}_2019-05-31.csv", [CHANGES, again])
        self._send_exits(published, "退出补", f"{','.join(self.gone)},注销,2018-05-20,决议解散", f"{','.join(self.back)},恢复登记,2018-05-05,")
        demands = [f"演示诉{self.tag}{n},2018-03-09T18:00:00Z,投诉,质量,{self.wrong},{self.typed}," for n in (1, 2)]
        published.send(f"同名店_{self.tag}_2019-05-31.csv", [f"广州市{self.said}有限公司,,2019-03-03,广州市天河区一路7号"])
        published.send_to("complaints", f"诉求改_{self.tag}_2018-07-31.csv", [DEMANDS, *demands])
        published.send_to("complaint_steps", f"办结_{self.tag}_2018-07-31.csv", [STEPS, f"演示诉{self.tag}1,办结,2018-04-02,调解成功,80"])
        published.send(f"三_{self.tag}_2019-05-31.csv", [f"{self.late},{self.later},2019-05-03,广州市天河区一路3号"])
