// `allod invoice`: what a tenant owes for a month.

#include <fmt/format.h>

#include "allod/billing/v1/invoice.grpc.pb.h"
#include "cli/commands/commands.h"
#include "cli/net/connections.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;

struct InvoiceOptions {
  std::string tenant;
  std::string period = "current";
};

Status Invoice(const Globals& globals, const InvoiceOptions& options) {
  ALLOD_TRY([[maybe_unused]] const auto ids, MatchName("tenant", options.tenant, "tenants/*"));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  billing_v1::GetInvoiceRequest request;
  request.set_name(options.tenant + "/invoices/" + options.period);
  ALLOD_TRY(const auto invoice,
            net::Ask<billing_v1::InvoiceService>(services, &billing_v1::InvoiceService::Stub::GetInvoice, request));
  if (globals.json()) {
    terminal::Print(terminal::ToJson(invoice));
    return {};
  }
  const terminal::Messages lines(invoice.lines().pointer_begin(), invoice.lines().pointer_end());
  terminal::Print(fmt::format("{} ({})\n\n", invoice.name(), terminal::FieldText(invoice, "state")));
  terminal::Print(terminal::MessageTable({{"INSTANCE", "instance"},
                                          {"VARIANT", "variant"},
                                          {"CLASS", "isolation_class"},
                                          {"REQUESTS", "request_count"},
                                          {"PROMPT", "prompt_tokens"},
                                          {"AT / MILLION", "prompt_price_per_million.amount"},
                                          {"COMPLETION", "completion_tokens"},
                                          {"AT / MILLION", "completion_price_per_million.amount"},
                                          {"AMOUNT", "amount.amount"}},
                                         lines));
  terminal::Print(fmt::format("\nTotal: {} {}\n", invoice.total().currency_code(), invoice.total().amount()));
  return {};
}

}  // namespace

void AddInvoice(CLI::App& app, Globals& globals) {
  const auto [command, options] =
      AddCommand<InvoiceOptions>(app, globals, "invoice", "Show a tenant's invoice of a month", &Invoice);
  command->add_option("tenant", options->tenant, "tenants/TENANT")->required();
  command->add_option("--period", options->period, "YYYY-MM in UTC (default: the current month)");
}

}  // namespace allod::cli::commands
