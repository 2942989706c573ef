// A report of usage for people and for spreadsheets. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "allod/billing/v1/usage.pb.h"
#include "allod/billing/v1/usage_report.pb.h"
#include "services/common/result.h"

namespace allod::cli::commands {

// "day,model". INVALID_ARGUMENT / INVALID_GROUP_BY says what there is.
Result<std::vector<billing::v1::UsageDimension>> DimensionsFrom(std::string_view text);

using Cells = std::vector<std::string>;
// The headings of what a report is by, then of its sums; lower case, as CSV has them.
Cells ReportHeadings(const std::vector<billing::v1::UsageDimension>& by);
Cells ReportCells(const std::vector<billing::v1::UsageDimension>& by, const billing::v1::UsageReportRow& row);

Cells RecordHeadings();
Cells RecordCells(const billing::v1::UsageRecord& record);

// A line of a CSV.
std::string CsvLine(const Cells& cells);

}  // namespace allod::cli::commands
