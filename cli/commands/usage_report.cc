// `allod usage report`, `export` and `rebuild`.

#include <fmt/format.h>

#include <chrono>
#include <map>

#include "allod/billing/v1/usage.grpc.pb.h"
#include "allod/billing/v1/usage_report.grpc.pb.h"
#include "cli/commands/short_names.h"
#include "cli/commands/tenant_commands.h"
#include "cli/commands/times.h"
#include "cli/commands/usage_report_view.h"
#include "cli/net/connections.h"
#include "cli/net/pages.h"
#include "cli/terminal/print.h"
#include "services/common/rpc/timestamp.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;
using Reports = billing_v1::UsageReportService;

const std::map<std::string, billing_v1::UsageOrder> kOrders = {{"amount", billing_v1::USAGE_ORDER_AMOUNT},
                                                               {"requests", billing_v1::USAGE_ORDER_REQUESTS},
                                                               {"tokens", billing_v1::USAGE_ORDER_TOKENS}};

// All records of a tenant are read.
constexpr std::chrono::minutes kRebuildTimeout{3};

struct UsageReportOptions {
  std::string tenant, by = "day", from, to;
  billing_v1::UsageOrder order = billing_v1::USAGE_ORDER_UNSPECIFIED;
  std::string project, instance, model, variant, isolation_class, api_key;
  int limit = 1000;
  bool csv = false;
};

Result<billing_v1::QueryUsageRequest> RequestOf(const UsageReportOptions& options) {
  billing_v1::QueryUsageRequest request;
  ALLOD_TRY(*request.mutable_parent(), TenantNameOf(options.tenant));
  ALLOD_TRY(const auto by, DimensionsFrom(options.by));
  for (const auto dimension : by) request.add_group_by(dimension);
  request.set_order(options.order);
  const Time now = std::chrono::system_clock::now();
  if (!options.from.empty()) {
    ALLOD_TRY(const Time from, ParseSince("--from", options.from, now));
    *request.mutable_start_time() = ToTimestamp(std::chrono::floor<std::chrono::hours>(from));
  }
  if (!options.to.empty()) {
    ALLOD_TRY(const Time to, ParseSince("--to", options.to, now));
    *request.mutable_end_time() = ToTimestamp(std::chrono::ceil<std::chrono::hours>(to));
  }
  if (!options.project.empty()) {
    request.set_project(FullName(request.parent() + "/projects", options.project));
  }
  request.set_instance(options.instance);
  if (!options.model.empty()) request.set_model(FullName("models", options.model));
  request.set_variant(options.variant);
  request.set_isolation_class(options.isolation_class);
  request.set_api_key(options.api_key);
  return request;
}

// Its rows, as far as the limit; of one moment each thousand.
Result<billing_v1::QueryUsageResponse> AskForReport(const net::Services& services,
                                                    billing_v1::QueryUsageRequest request, int limit) {
  const auto stub = net::Connect<Reports>(services);
  billing_v1::QueryUsageResponse out;
  do {
    request.set_page_size(std::min(net::kPageSizeMax, limit - out.rows_size()));
    ALLOD_TRY(auto page, net::Ask(*stub, &Reports::Stub::QueryUsage, request));
    request.set_page_token(page.next_page_token());
    for (auto& row : *page.mutable_rows()) out.add_rows()->Swap(&row);
    page.clear_rows();
    out.MergeFrom(page);
    out.set_next_page_token(page.next_page_token());
  } while (!request.page_token().empty() && out.rows_size() < limit);
  return out;
}

Status ReportUsage(const Globals& globals, const UsageReportOptions& options) {
  ALLOD_TRY(const auto request, RequestOf(options));
  ALLOD_TRY(const auto by, DimensionsFrom(options.by));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto report, AskForReport(services, request, options.limit));
  if (report.rows().empty()) ALLOD_CHECK_OK(CheckThereIs(services, request.parent()));
  if (globals.json()) {
    terminal::Print(terminal::ToJson(report));
    return {};
  }
  if (options.csv) {
    std::string text = CsvLine(ReportHeadings(by));
    for (const auto& row : report.rows()) text += CsvLine(ReportCells(by, row));
    terminal::Print(text);
    return {};
  }
  std::vector<std::string> headings = ReportHeadings(by);
  for (std::string& heading : headings) {
    for (char& c : heading) c = c == '_' ? ' ' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  std::vector<Cells> rows;
  for (const auto& row : report.rows()) rows.push_back(ReportCells(by, row));
  billing_v1::UsageReportRow total;
  *total.mutable_sums() = report.total();
  if (!by.empty()) rows.push_back(ReportCells(by, total));
  terminal::Print(terminal::Table(headings, rows));
  terminal::Print(
      fmt::format("{} to {} UTC{}{}\n", terminal::FieldText(report, "start_time"),
                  terminal::FieldText(report, "end_time"), by.empty() ? "" : "; the last line is the total of all",
                  report.next_page_token().empty()
                      ? ""
                      : fmt::format("; {} of {} lines, --limit shows more", report.rows_size(), report.row_count())));
  return {};
}

struct UsageExportOptions {
  std::string tenant, from, to, instance;
};

Status ExportUsage(const Globals& globals, const UsageExportOptions& options) {
  using Usage = billing_v1::UsageService;
  billing_v1::ListUsageRecordsRequest request;
  ALLOD_TRY(*request.mutable_parent(), TenantNameOf(options.tenant));
  const Time now = std::chrono::system_clock::now();
  ALLOD_TRY(const Time from, ParseSince("--from", options.from, now));
  *request.mutable_start_time() = ToTimestamp(from);
  ALLOD_TRY(const Time to, ParseSince("--to", options.to, now));
  *request.mutable_end_time() = ToTimestamp(to);
  request.set_instance(options.instance);
  request.set_page_size(net::kPageSizeMax);
  ALLOD_TRY(const net::Services services, FindServices(globals));
  const auto stub = net::Connect<Usage>(services);
  bool any = false;
  do {
    ALLOD_TRY(const auto page, net::Ask(*stub, &Usage::Stub::ListUsageRecords, request));
    if (!any && page.usage_records().empty()) ALLOD_CHECK_OK(CheckThereIs(services, request.parent()));
    // As it goes: there may be millions.
    std::string text = any ? "" : CsvLine(RecordHeadings());
    for (const auto& record : page.usage_records()) text += CsvLine(RecordCells(record));
    terminal::Print(text);
    any = true;
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return {};
}

struct RebuildReportsOptions {
  std::string tenant;
};

Status RebuildReports(const Globals& globals, const RebuildReportsOptions& options) {
  billing_v1::RebuildUsageReportsRequest request;
  ALLOD_TRY(*request.mutable_parent(), TenantNameOf(options.tenant));
  ALLOD_TRY(const auto state, FindInstallation(globals));
  ALLOD_TRY(const auto rebuilt,
            net::Ask<Reports>(state, &Reports::Stub::RebuildUsageReports, request, kRebuildTimeout));
  terminal::Print(globals.json() ? terminal::ToJson(rebuilt)
                                 : fmt::format("reports of {} are made anew, of {} usage records\n", request.parent(),
                                               rebuilt.usage_record_count()));
  return {};
}

constexpr char kWhen[] = "YYYY-MM-DD or RFC 3339 in UTC, or as long ago as 30d";

}  // namespace

void AddUsageReports(CLI::App& usage, Globals& globals) {
  const auto [report, of_report] = AddCommand<UsageReportOptions>(
      usage, globals, "report", "Add up a tenant's usage by time, project, model, key and more", &ReportUsage);
  report->add_option("tenant", of_report->tenant, kTenantHelp)->required();
  report->add_option("--by", of_report->by,
                     "Of hour, day, month, project, instance, model, variant, class, key, with commas between them; '' "
                     "for one sum (default: day)");
  report->add_option("--from", of_report->from, fmt::format("{} (default: the beginning of the month)", kWhen));
  report->add_option("--to", of_report->to, fmt::format("{}; not included (default: now)", kWhen));
  report->add_option("--order", of_report->order, "amount, requests or tokens, the most first (default: by time)")
      ->type_name("ORDER")
      ->transform(WordOf(kOrders));
  report->add_option("--project", of_report->project, "PROJECT: only this one");
  report->add_option("--instance", of_report->instance, "tenants/T/projects/P/instances/I: only this one");
  report->add_option("--model", of_report->model, "MODEL or models/MODEL: only this one");
  report->add_option("--variant", of_report->variant, "models/M/versions/V/variants/VARIANT: only this one");
  report->add_option("--class", of_report->isolation_class, "Only pooled, isolated or dedicated")
      ->check(CLI::IsMember({"pooled", "isolated", "dedicated"}));
  report->add_option("--api-key", of_report->api_key,
                     "tenants/T/projects/P/apiKeys/KID, or the name of a workload rule: only what it used");
  report->add_option("--limit", of_report->limit, "How many lines (default: 1000)")->check(CLI::Range(1, 100'000));
  report->add_flag("--csv", of_report->csv, "As CSV (RFC 4180)");

  const auto [dump, of_dump] = AddCommand<UsageExportOptions>(
      usage, globals, "export", "Write a tenant's usage records as CSV, newest first", &ExportUsage);
  dump->add_option("tenant", of_dump->tenant, kTenantHelp)->required();
  dump->add_option("--from", of_dump->from, fmt::format("Admitted at or after: {}", kWhen))->required();
  dump->add_option("--to", of_dump->to, fmt::format("Admitted before: {}", kWhen))->required();
  dump->add_option("--instance", of_dump->instance, "tenants/T/projects/P/instances/I: only this one");

  const auto [rebuild, of_rebuild] = AddCommand<RebuildReportsOptions>(
      usage, globals, "rebuild", "Make what reports read anew from a tenant's usage records", &RebuildReports);
  rebuild->add_option("tenant", of_rebuild->tenant, kTenantHelp)->required();
}

}  // namespace allod::cli::commands
