{# Generated from catalog/contracts by `python -m catalog.dbt_files`; change the contract, not this file. #}
{% macro timeline_feeds() %}{{ return([
 {
  "name": "registration_changes",
  "events": [
   {
    "number": 0,
    "event": "变更登记"
   }
  ]
 },
 {
  "name": "registration_cancellations",
  "events": [
   {
    "number": 0,
    "event": "退出或恢复登记"
   }
  ]
 },
 {
  "name": "shareholders",
  "events": [
   {
    "number": 0,
    "event": "股东出资变动"
   },
   {
    "number": 1,
    "event": "对外投资变动"
   }
  ]
 },
 {
  "name": "key_persons",
  "events": [
   {
    "number": 0,
    "event": "主要人员任职"
   }
  ]
 },
 {
  "name": "branches",
  "events": [
   {
    "number": 0,
    "event": "设立分支机构"
   },
   {
    "number": 1,
    "event": "登记为分支机构"
   }
  ]
 },
 {
  "name": "annual_reports",
  "events": [
   {
    "number": 0,
    "event": "报送年度报告"
   }
  ]
 },
 {
  "name": "licences",
  "events": [
   {
    "number": 0,
    "event": "取得行政许可"
   }
  ]
 },
 {
  "name": "inspection_results",
  "events": [
   {
    "number": 0,
    "event": "双随机抽查"
   }
  ]
 },
 {
  "name": "advertising",
  "events": [
   {
    "number": 0,
    "event": "广告监测"
   }
  ]
 },
 {
  "name": "abnormal_list",
  "events": [
   {
    "number": 0,
    "event": "列入经营异常名录"
   },
   {
    "number": 1,
    "event": "移出经营异常名录"
   }
  ]
 },
 {
  "name": "individual_marks",
  "events": [
   {
    "number": 0,
    "event": "标记为经营异常（个体工商户）"
   },
   {
    "number": 1,
    "event": "恢复正常记载（个体工商户）"
   }
  ]
 },
 {
  "name": "serious_list",
  "events": [
   {
    "number": 0,
    "event": "列入严重违法失信名单"
   },
   {
    "number": 1,
    "event": "移出严重违法失信名单"
   }
  ]
 },
 {
  "name": "credit_repairs",
  "events": [
   {
    "number": 0,
    "event": "申请信用修复"
   },
   {
    "number": 1,
    "event": "信用修复决定"
   }
  ]
 },
 {
  "name": "enforcement_cases",
  "events": [
   {
    "number": 0,
    "event": "案件办理"
   }
  ]
 },
 {
  "name": "penalties",
  "events": [
   {
    "number": 0,
    "event": "行政处罚"
   }
  ]
 },
 {
  "name": "complaints",
  "events": [
   {
    "number": 0,
    "event": "被投诉举报"
   }
  ]
 },
 {
  "name": "complaint_steps",
  "events": [
   {
    "number": 0,
    "event": "诉求办理"
   }
  ]
 },
 {
  "name": "trademark_applications",
  "events": [
   {
    "number": 0,
    "event": "申请商标"
   }
  ]
 },
 {
  "name": "trademark_publications",
  "events": [
   {
    "number": 0,
    "event": "商标初审公告"
   }
  ]
 },
 {
  "name": "trademark_registrations",
  "events": [
   {
    "number": 0,
    "event": "商标注册公告"
   }
  ]
 },
 {
  "name": "trademark_outcomes",
  "events": [
   {
    "number": 0,
    "event": "商标确权决定"
   }
  ]
 },
 {
  "name": "trademark_renewals",
  "events": [
   {
    "number": 0,
    "event": "商标续展转让（现注册人）"
   },
   {
    "number": 1,
    "event": "商标续展转让（原注册人）"
   }
  ]
 },
 {
  "name": "other_licences",
  "events": [
   {
    "number": 0,
    "event": "取得其他部门许可"
   }
  ]
 },
 {
  "name": "other_penalties",
  "events": [
   {
    "number": 0,
    "event": "其他部门行政处罚"
   }
  ]
 },
 {
  "name": "court_enforcement",
  "events": [
   {
    "number": 0,
    "event": "列为被执行人"
   }
  ]
 }
]) }}{% endmacro %}
