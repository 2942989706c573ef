#include "cli/commands/usage_report_view.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <array>
#include <utility>

#include "cli/terminal/print.h"
#include "services/common/csv.h"

namespace allod::cli::commands {
namespace {

namespace v1 = billing::v1;

struct Dimension {
  std::string_view word;  // on the command line, and the heading
  v1::UsageDimension dimension;
};
constexpr std::array<Dimension, 9> kDimensions{{{"hour", v1::USAGE_DIMENSION_HOUR},
                                                {"day", v1::USAGE_DIMENSION_DAY},
                                                {"month", v1::USAGE_DIMENSION_MONTH},
                                                {"project", v1::USAGE_DIMENSION_PROJECT},
                                                {"instance", v1::USAGE_DIMENSION_INSTANCE},
                                                {"model", v1::USAGE_DIMENSION_MODEL},
                                                {"variant", v1::USAGE_DIMENSION_VARIANT},
                                                {"class", v1::USAGE_DIMENSION_ISOLATION_CLASS},
                                                {"key", v1::USAGE_DIMENSION_API_KEY}}};

std::string PeriodText(v1::UsageDimension by, const google::protobuf::Timestamp& start) {
  const std::string text = google::protobuf::util::TimeUtil::ToString(start);  // 2026-11-01T00:00:00Z
  if (by == v1::USAGE_DIMENSION_MONTH) return text.substr(0, 7);
  return by == v1::USAGE_DIMENSION_DAY ? text.substr(0, 10) : text;
}

std::string CellOf(v1::UsageDimension by, const v1::UsageReportRow& row) {
  switch (by) {
    case v1::USAGE_DIMENSION_PROJECT:
      return row.project();
    case v1::USAGE_DIMENSION_INSTANCE:
      return row.instance();
    case v1::USAGE_DIMENSION_MODEL:
      return row.model();
    case v1::USAGE_DIMENSION_VARIANT:
      return row.variant();
    case v1::USAGE_DIMENSION_ISOLATION_CLASS:
      return row.isolation_class();
    case v1::USAGE_DIMENSION_API_KEY:
      return row.api_key();
    default:
      return row.has_period_start() ? PeriodText(by, row.period_start()) : "";
  }
}

}  // namespace

Result<std::vector<v1::UsageDimension>> DimensionsFrom(std::string_view text) {
  std::vector<v1::UsageDimension> out;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const auto* found = std::find_if(kDimensions.begin(), kDimensions.end(), [&](auto& d) { return d.word == word; });
    if (found == kDimensions.end()) {
      return InvalidArgument("INVALID_GROUP_BY",
                             fmt::format("--by: '{}' is none of hour, day, month, project, instance, model, variant, "
                                         "class and key; name some with commas between them, such as day,model",
                                         word));
    }
    out.push_back(found->dimension);
  }
  return out;
}

Cells ReportHeadings(const std::vector<v1::UsageDimension>& by) {
  Cells out;
  for (const v1::UsageDimension dimension : by) {
    for (const Dimension& known : kDimensions) {
      if (known.dimension == dimension) out.emplace_back(known.word);
    }
  }
  for (const char* heading : {"requests", "billed_requests", "prompt_tokens", "completion_tokens",
                              "billed_prompt_tokens", "billed_completion_tokens", "amount", "currency"}) {
    out.emplace_back(heading);
  }
  return out;
}

Cells ReportCells(const std::vector<v1::UsageDimension>& by, const v1::UsageReportRow& row) {
  Cells out;
  for (const v1::UsageDimension dimension : by) out.push_back(CellOf(dimension, row));
  const v1::UsageSums& sums = row.sums();
  for (const std::int64_t number :
       {sums.request_count(), sums.billed_request_count(), sums.prompt_tokens(), sums.completion_tokens(),
        sums.billed_prompt_tokens(), sums.billed_completion_tokens()}) {
    out.push_back(std::to_string(number));
  }
  out.push_back(sums.amount().amount());
  out.push_back(sums.amount().currency_code());
  return out;
}

Cells RecordHeadings() {
  return {"request_id",
          "admit_time",
          "settle_time",
          "instance",
          "variant",
          "isolation_class",
          "price_book",
          "api_key",
          "outcome",
          "prompt_tokens",
          "completion_tokens",
          "excess_prompt_tokens",
          "excess_completion_tokens",
          "cost",
          "currency"};
}

Cells RecordCells(const v1::UsageRecord& record) {
  using google::protobuf::util::TimeUtil;
  return {record.name().substr(record.name().rfind('/') + 1),
          TimeUtil::ToString(record.admit_time()),
          TimeUtil::ToString(record.settle_time()),
          record.instance(),
          record.variant(),
          record.isolation_class(),
          record.price_book(),
          record.api_key(),
          terminal::FieldText(record, "outcome"),
          std::to_string(record.prompt_tokens()),
          std::to_string(record.completion_tokens()),
          std::to_string(record.excess_prompt_tokens()),
          std::to_string(record.excess_completion_tokens()),
          record.cost().amount(),
          record.cost().currency_code()};
}

std::string CsvLine(const Cells& cells) {
  CsvRows rows;
  for (const std::string& cell : cells) rows.Add(cell);
  rows.End();
  return rows.Take();
}

}  // namespace allod::cli::commands
