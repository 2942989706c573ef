// `allod usage`, `allod invoice` and `allod ledger`: what was used, what it costs, and whether the books are sound.

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include "allod/billing/v1/computed_usage.grpc.pb.h"
#include "allod/billing/v1/invoice.grpc.pb.h"
#include "allod/billing/v1/ledger.grpc.pb.h"
#include "allod/billing/v1/usage.grpc.pb.h"
#include "cli/commands/commands.h"
#include "cli/commands/ledger_verdict.h"
#include "cli/net/connections.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli {
namespace {

namespace billing = allod::billing::v1;

struct Options {
  std::string tenant;
  std::string period = "current";
  std::string instance;
  int limit = 20;
  bool computed = false;
  int hours = 24;
};

// What nodes told that they computed for a tenant.
Status ComputedUsage(const Globals& globals, const StateDir& state, const Options& options) {
  const auto stub = Connect<billing::ComputedUsageService>(state, "billing");
  billing::ListComputedUsageRequest request;
  request.set_parent(options.tenant);
  request.set_instance(options.instance);
  std::vector<billing::ListComputedUsageResponse> pages;
  std::vector<const google::protobuf::Message*> shown;
  do {
    request.set_page_size(std::min(1000, options.limit - static_cast<int>(shown.size())));
    ALLOD_TRY(auto page, Ask(*stub, &billing::ComputedUsageService::Stub::ListComputedUsage, request));
    request.set_page_token(page.next_page_token());
    pages.push_back(std::move(page));
    for (const auto& event : pages.back().computed_usage()) shown.push_back(&event);
  } while (!request.page_token().empty() && static_cast<int>(shown.size()) < options.limit);
  Print(globals.json() ? ToJsonList(shown)
                       : MessageTable({{"REQUEST", "request_id"},
                                       {"INSTANCE", "instance"},
                                       {"NODE", "node"},
                                       {"OUTCOME", "outcome"},
                                       {"PROMPT", "prompt_tokens_computed"},
                                       {"CACHED", "prompt_tokens_cached"},
                                       {"SAMPLED", "sampled_tokens"},
                                       {"STARTED", "start_time"}},
                                      shown));
  return {};
}

Status Usage(const Globals& globals, const Options& options) {
  ALLOD_TRY([[maybe_unused]] const auto ids, MatchName("tenant", options.tenant, "tenants/*"));
  ALLOD_TRY(const StateDir state, RunningState(globals));
  if (options.computed) return ComputedUsage(globals, state, options);
  const auto stub = Connect<billing::UsageService>(state, "billing");
  billing::ListUsageRecordsRequest request;
  request.set_parent(options.tenant);
  request.set_instance(options.instance);
  std::vector<billing::ListUsageRecordsResponse> pages;
  std::vector<const google::protobuf::Message*> shown;
  do {
    request.set_page_size(std::min(1000, options.limit - static_cast<int>(shown.size())));
    ALLOD_TRY(auto page, Ask(*stub, &billing::UsageService::Stub::ListUsageRecords, request));
    request.set_page_token(page.next_page_token());
    pages.push_back(std::move(page));
    for (const auto& record : pages.back().usage_records()) shown.push_back(&record);
    // The pointers stay good when `pages` grows: a moved page keeps its records where they are.
  } while (!request.page_token().empty() && static_cast<int>(shown.size()) < options.limit);
  if (globals.json()) {
    Print(ToJsonList(shown));
    return {};
  }
  Print(MessageTable({{"REQUEST", "name"},
                      {"INSTANCE", "instance"},
                      {"CLASS", "isolation_class"},
                      {"OUTCOME", "outcome"},
                      {"PROMPT", "prompt_tokens"},
                      {"COMPLETION", "completion_tokens"},
                      {"COST", "cost.amount"},
                      {"", "cost.currency_code"},
                      {"ADMITTED", "admit_time"}},
                     shown));
  if (!request.page_token().empty()) Print(fmt::format("(the newest {}; --limit shows more)\n", shown.size()));
  return {};
}

Status Invoice(const Globals& globals, const Options& options) {
  ALLOD_TRY([[maybe_unused]] const auto ids, MatchName("tenant", options.tenant, "tenants/*"));
  ALLOD_TRY(const StateDir state, RunningState(globals));
  const auto stub = Connect<billing::InvoiceService>(state, "billing");
  billing::GetInvoiceRequest request;
  request.set_name(options.tenant + "/invoices/" + options.period);
  ALLOD_TRY(const auto invoice, Ask(*stub, &billing::InvoiceService::Stub::GetInvoice, request));
  if (globals.json()) {
    Print(ToJson(invoice));
    return {};
  }
  std::vector<const google::protobuf::Message*> lines;
  for (const auto& line : invoice.lines()) lines.push_back(&line);
  Print(fmt::format("{} ({})\n\n", invoice.name(), FieldText(invoice, "state")));
  Print(MessageTable({{"INSTANCE", "instance"},
                      {"VARIANT", "variant"},
                      {"CLASS", "isolation_class"},
                      {"REQUESTS", "request_count"},
                      {"PROMPT", "prompt_tokens"},
                      {"AT / MILLION", "prompt_price_per_million.amount"},
                      {"COMPLETION", "completion_tokens"},
                      {"AT / MILLION", "completion_price_per_million.amount"},
                      {"AMOUNT", "amount.amount"}},
                     lines));
  Print(fmt::format("\nTotal: {} {}\n", invoice.total().currency_code(), invoice.total().amount()));
  return {};
}

// Holds what was billed against what nodes computed.
Result<billing::CheckUsageResponse> CheckUsage(const StateDir& state, int hours) {
  using google::protobuf::util::TimeUtil;
  const auto stub = Connect<billing::ComputedUsageService>(state, "billing");
  billing::CheckUsageRequest request;
  const std::int64_t end = TimeUtil::TimestampToSeconds(TimeUtil::GetCurrentTime()) + 1;
  *request.mutable_start_time() = TimeUtil::SecondsToTimestamp(end - std::int64_t{hours} * 3600);
  *request.mutable_end_time() = TimeUtil::SecondsToTimestamp(end);
  return Ask(*stub, &billing::ComputedUsageService::Stub::CheckUsage, request, std::chrono::minutes(5));
}

std::string UsageText(const billing::CheckUsageResponse& usage, int hours) {
  std::string text = fmt::format(
      "last {} h: {} usage records of {} completion tokens; nodes computed {} requests of {} sampled tokens\n"
      "  {} billed beyond what was sampled, {} computed but not settled, {} still not settled long after they ended, "
      "{} delivered but not reported; too fresh to tell: {} still open, {} not reported yet\n",
      hours, usage.usage_record_count(), usage.completion_tokens(), usage.computed_request_count(),
      usage.sampled_tokens(), usage.overbilled_count(), usage.unbilled_count(), usage.unsettled_count(),
      usage.uncomputed_count(), usage.open_count(), usage.unreported_count());
  for (const auto& tenant : usage.unchecked_tenants()) text += fmt::format("  could not be checked: {}\n", tenant);
  for (const auto& finding : usage.findings()) {
    text +=
        fmt::format("  {}: {} of {}: {} completion tokens, {} sampled\n", FieldText(finding, "kind"),
                    finding.usage_record(), finding.instance(), finding.completion_tokens(), finding.sampled_tokens());
  }
  return text;
}

Status Ledger(const Globals& globals, const Options& options) {
  ALLOD_TRY(const StateDir state, RunningState(globals));
  const auto stub = Connect<billing::LedgerService>(state, "billing");
  ALLOD_TRY(const auto check, Ask(*stub, &billing::LedgerService::Stub::CheckLedger, billing::CheckLedgerRequest(),
                                  std::chrono::minutes(5)));
  ALLOD_TRY(const auto usage, CheckUsage(state, options.hours));
  const LedgerVerdict verdict = JudgeLedger(check, usage);
  if (globals.json()) {
    // One object, for programs: the ledger's fields, and `usage`.
    std::string text = ToJson(check);
    text.resize(text.rfind('}'));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    Print(text + ",\n \"usage\": " + ToJson(usage) + "}\n");
  } else {
    for (const auto& sum : check.sums())
      Print(fmt::format("sum over all accounts in {}: {}\n", sum.currency_code(), sum.amount()));
    for (const auto& tenant : check.unaudited_tenants()) Print(fmt::format("could not be audited: {}\n", tenant));
    for (const auto& account : check.mismatched_accounts()) Print(fmt::format("does not add up: {}\n", account));
    if (check.overdue_reservation_count() > 0)
      Print(fmt::format("{} reservations are open past their end\n", check.overdue_reservation_count()));
    if (check.unrecorded_request_count() > 0)
      Print(fmt::format("{} requests were computed and have no usage record\n", check.unrecorded_request_count()));
    if (check.excess_usage_record_count() > 0)
      Print(fmt::format("{} usage records have tokens that were not held, and are not billed\n",
                        check.excess_usage_record_count()));
    Print(fmt::format("{} transfers, {} usage records, {} open reservations: the books are {}\n",
                      check.transfer_count(), check.usage_record_count(), check.open_reservation_count(),
                      verdict.words));
    Print(UsageText(usage, options.hours));
  }
  return verdict.status;
}

}  // namespace

void AddMoneyCommands(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<Options>();
  auto* usage = app.add_subcommand("usage", "Show a tenant's requests, newest first, with tokens and cost");
  usage->add_option("tenant", options->tenant, "tenants/TENANT")->required();
  usage->add_option("--instance", options->instance, "Only this instance");
  usage->add_flag("--computed", options->computed,
                  "Show what nodes told that they computed, instead of what was delivered and billed");
  usage->add_option("--limit", options->limit, "How many (default 20)")->check(CLI::Range(1, 100'000));
  usage->callback([&globals, options] { globals.action = [&globals, options] { return Usage(globals, *options); }; });

  auto* invoice = app.add_subcommand("invoice", "Show a tenant's invoice of a month");
  invoice->add_option("tenant", options->tenant, "tenants/TENANT")->required();
  invoice->add_option("--period", options->period, "YYYY-MM in UTC (default: the current month)");
  invoice->callback(
      [&globals, options] { globals.action = [&globals, options] { return Invoice(globals, *options); }; });

  auto* ledger =
      app.add_subcommand("ledger",
                         "Add up the whole ledger from its transfers, and hold what was billed against what nodes "
                         "computed; fails if the books do not balance, anything was billed that was not computed, or "
                         "anything was computed and is not recorded, or some tenant's books cannot be read");
  ledger->add_option("--hours", options->hours, "How far back billed and computed usage are compared (default 24)")
      ->check(CLI::Range(1, 24 * 366));
  ledger->callback([&globals, options] { globals.action = [&globals, options] { return Ledger(globals, *options); }; });
}

}  // namespace allod::cli
