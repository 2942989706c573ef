// `allod ledger`: whether the books are sound.

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <chrono>

#include "allod/billing/v1/ledger.grpc.pb.h"
#include "cli/commands/commands.h"
#include "cli/commands/ledger_verdict.h"
#include "cli/net/connections.h"
#include "cli/terminal/print.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;

using terminal::Print;

// Every tenant's books are read.
constexpr std::chrono::minutes kAuditTimeout{5};

struct LedgerOptions {
  int hours = 24;
};

// The books, and what was billed lately against what nodes computed, in one look.
Result<billing_v1::CheckLedgerResponse> CheckLedger(const installation::StateDir& state, int hours) {
  using google::protobuf::util::TimeUtil;
  billing_v1::CheckLedgerRequest request;
  const std::int64_t now = TimeUtil::TimestampToSeconds(TimeUtil::GetCurrentTime());
  *request.mutable_usage()->mutable_start_time() = TimeUtil::SecondsToTimestamp(now - std::int64_t{hours} * 3600);
  // What is admitted while the books are read counts in both.
  *request.mutable_usage()->mutable_end_time() =
      TimeUtil::SecondsToTimestamp(now + std::chrono::seconds(kAuditTimeout).count());
  return net::Ask<billing_v1::LedgerService>(state, &billing_v1::LedgerService::Stub::CheckLedger, request,
                                             kAuditTimeout);
}

std::string UsageText(const billing_v1::CheckUsageResponse& usage, int hours) {
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
        fmt::format("  {}: {} of {}: {} completion tokens, {} sampled\n", terminal::FieldText(finding, "kind"),
                    finding.usage_record(), finding.instance(), finding.completion_tokens(), finding.sampled_tokens());
  }
  return text;
}

Status Ledger(const Globals& globals, const LedgerOptions& options) {
  ALLOD_TRY(const auto state, FindInstallation(globals));
  ALLOD_TRY(const auto check, CheckLedger(state, options.hours));
  const LedgerVerdict verdict = JudgeLedger(check);
  if (globals.json()) {
    Print(terminal::ToJson(check));
  } else {
    for (const auto& sum : check.sums())
      Print(fmt::format("sum over all accounts in {}: {}\n", sum.currency_code(), sum.amount()));
    for (const auto& tenant : check.unaudited_tenants()) Print(fmt::format("could not be audited: {}\n", tenant));
    for (const auto& account : check.mismatched_accounts()) Print(fmt::format("does not add up: {}\n", account));
    if (check.overdue_reservation_count() > 0)
      Print(fmt::format("{} reservations are open past their end\n", check.overdue_reservation_count()));
    if (check.overdue_lease_count() > 0)
      Print(fmt::format("{} leases of gateways are open past their end\n", check.overdue_lease_count()));
    if (check.short_usage_record_count() > 0)
      Print(fmt::format("{} usage records cost more than their lease had left\n", check.short_usage_record_count()));
    if (check.unrecorded_request_count() > 0)
      Print(fmt::format("{} requests were computed and have no usage record\n", check.unrecorded_request_count()));
    if (check.excess_usage_record_count() > 0)
      Print(fmt::format("{} usage records have tokens that were not held, and are not billed\n",
                        check.excess_usage_record_count()));
    Print(fmt::format("{} transfers, {} usage records, {} open reservations, {} leases: the books are {}\n",
                      check.transfer_count(), check.usage_record_count(), check.open_reservation_count(),
                      check.open_lease_count(), verdict.words));
    Print(UsageText(check.usage(), options.hours));
  }
  return verdict.status;
}

}  // namespace

void AddLedger(CLI::App& app, Globals& globals) {
  const auto [command, options] =
      AddCommand<LedgerOptions>(app, globals, "ledger",
                                "Check that the books balance and that billed and computed usage "
                                "agree; fails if not, or if a tenant's cannot be read",
                                &Ledger);
  command->add_option("--hours", options->hours, "How far back billed and computed usage are compared (default: 24)")
      ->check(CLI::Range(1, 24 * 366));
}

}  // namespace allod::cli::commands
