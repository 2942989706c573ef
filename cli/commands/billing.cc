// `allod billing rerate`: an issued invoice by the prices by which it should have been.

#include <fmt/format.h>

#include "allod/billing/v1/correction.grpc.pb.h"
#include "cli/commands/invoice_view.h"
#include "cli/commands/may_be_done.h"
#include "cli/commands/tenant_commands.h"
#include "cli/net/connections.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;
using Corrections = billing_v1::CorrectionService;

constexpr std::chrono::seconds kIssueTimeout{60};  // thousands of lines

struct RerateOptions {
  std::string tenant;
  std::string period;
  std::string old_book;
  std::string new_book;
  std::string reason;
  bool dry_run = false;
  std::string request_id;
};

std::string BookName(const std::string& text) { return text.starts_with("priceBooks/") ? text : "priceBooks/" + text; }

Status Rerate(const Globals& globals, const RerateOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  billing_v1::RerateInvoiceRequest request;
  request.set_invoice(tenant + "/invoices/" + options.period);
  request.set_old_price_book(BookName(options.old_book));
  request.set_new_price_book(BookName(options.new_book));
  request.set_reason(options.reason);
  request.set_validate_only(options.dry_run);
  request.set_request_id(options.request_id.empty() ? Uuid::V7().ToString() : options.request_id);
  ALLOD_TRY(const net::Services services, FindServices(globals));
  const auto done = net::Ask<Corrections>(services, &Corrections::Stub::RerateInvoice, request, kIssueTimeout);
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

}  // namespace

void AddBilling(CLI::App& app, Globals& globals) {
  CLI::App* billing = app.add_subcommand("billing", "Correct what was invoiced at a wrong price");
  billing->require_subcommand(1);
  const auto [command, options] = AddCommand<RerateOptions>(
      *billing, globals, "rerate",
      "Work out an issued invoice by another price book: too much is credited, too little is charged with the next one",
      &Rerate);
  command->add_option("--tenant", options->tenant, kTenantHelp)->required();
  command->add_option("--period", options->period, "YYYY-MM of the invoice")->required();
  command->add_option("--book", options->old_book, "PRICE BOOK of its lines that was wrong")->required();
  command->add_option("--as", options->new_book, "PRICE BOOK by which they should have been")->required();
  command->add_option("--reason", options->reason, "Stands on the credit note")->required();
  command->add_flag("--dry-run", options->dry_run, "Show what differs, and change nothing");
  command->add_option("--request-id", options->request_id, "UUID, the same again to repeat what may have been done");
}

}  // namespace allod::cli::commands
