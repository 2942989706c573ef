// `allod invoice rerate|sla-credit`: what corrects an issued invoice by a rule.

#include <fmt/format.h>

#include "allod/billing/v1/correction.grpc.pb.h"
#include "cli/commands/invoice_view.h"
#include "cli/commands/may_be_done.h"
#include "cli/commands/percent.h"
#include "cli/commands/short_names.h"
#include "cli/commands/tenant_commands.h"
#include "cli/net/connections.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;
using Corrections = billing_v1::CorrectionService;

constexpr std::chrono::seconds kCorrectionTimeout{60};  // thousands of lines

struct CorrectionOptions {
  std::string tenant;
  std::string period;
  std::string from_book;
  std::string to_book;
  std::string reason;
  bool dry_run = false;
  std::string request_id;
};

Result<std::string> CorrectedName(const CorrectionOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_CHECK_OK(CheckId("invoice", options.period));
  return tenant + "/invoices/" + options.period;
}

Status Rerate(const Globals& globals, const CorrectionOptions& options) {
  billing_v1::RerateInvoiceRequest request;
  ALLOD_TRY(*request.mutable_invoice(), CorrectedName(options));
  request.set_old_price_book(FullName("priceBooks", options.from_book));
  request.set_new_price_book(FullName("priceBooks", options.to_book));
  request.set_reason(options.reason);
  request.set_validate_only(options.dry_run);
  request.set_request_id(RequestIdOr(options.request_id));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  const auto done = net::Ask<Corrections>(services, &Corrections::Stub::RerateInvoice, request, kCorrectionTimeout);
  if (!done) return std::unexpected(ToRepeat(done.error(), request.request_id()));
  if (globals.json()) {
    terminal::Print(terminal::ToJson(*done));
    return {};
  }
  if (options.dry_run) terminal::Print("Nothing was changed; this would be:\n");
  terminal::PrintList(false,
                      {{"LINE", "number"},
                       {"WAS", "old_amount.amount"},
                       {"NOW AT / MILLION", "new_price_per_million.amount"},
                       {"IS", "new_amount.amount"}},
                      terminal::Messages(done->lines().pointer_begin(), done->lines().pointer_end()));
  if (done->has_credit_note()) terminal::Print("\n" + ShowInvoice(done->credit_note()));
  for (const auto& charge : done->charges()) {
    terminal::Print(fmt::format("A charge of the next invoice: {} {}\n", charge.currency_code(), charge.amount()));
  }
  return {};
}

Status CreditServiceLevel(const Globals& globals, const CorrectionOptions& options) {
  billing_v1::CreditServiceLevelRequest request;
  ALLOD_TRY(*request.mutable_invoice(), CorrectedName(options));
  request.set_validate_only(options.dry_run);
  request.set_request_id(RequestIdOr(options.request_id));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  const auto done =
      net::Ask<Corrections>(services, &Corrections::Stub::CreditServiceLevel, request, kCorrectionTimeout);
  if (!done) return std::unexpected(ToRepeat(done.error(), request.request_id()));
  if (globals.json()) {
    terminal::Print(terminal::ToJson(*done));
    return {};
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& credit : done->credits()) {
    rows.push_back({credit.instance(), fmt::to_string(credit.request_count()), fmt::to_string(credit.fault_count()),
                    PercentText(credit.below_basis_points()), PercentText(credit.credit_basis_points()),
                    credit.amount().amount()});
  }
  terminal::Print(terminal::Table({"INSTANCE", "REQUESTS", "FAULTS", "BELOW %", "CREDIT %", "AMOUNT"}, rows));
  terminal::Print((options.dry_run ? "\nNothing was issued; this would be:\n" : "\n") +
                  ShowInvoice(done->credit_note()));
  return {};
}

}  // namespace

void AddInvoiceCorrections(CLI::App& invoice, Globals& globals) {
  const auto add = [&](const char* name, const char* what, auto run) {
    const auto [command, options] = AddCommand<CorrectionOptions>(invoice, globals, name, what, run);
    command->add_option("tenant", options->tenant, kTenantHelp)->required();
    command->add_option("invoice", options->period, "YYYY-MM")->required();
    command->add_flag("--dry-run", options->dry_run, "Show what differs, and change nothing");
    AddRequestIdOption(*command, options->request_id);
    return std::pair(command, options);
  };
  const auto [rerate, of_rerate] =
      add("rerate",
          "Work out an issued invoice by another price book: too much is credited, too little is charged with the next",
          &Rerate);
  rerate->add_option("--from-book", of_rerate->from_book, "PRICE BOOK of its lines that was wrong")->required();
  rerate->add_option("--to-book", of_rerate->to_book, "PRICE BOOK by which they should have been")->required();
  rerate->add_option("--reason", of_rerate->reason, "Stands on the credit note")->required();
  add("sla-credit", "Give back what the price terms promise where an instance's month was below it",
      &CreditServiceLevel);
}

}  // namespace allod::cli::commands
