// `allod invoice`: what a tenant owes for a month; invoice_actions.cc has what is issued,
// invoice_corrections.cc what corrects it by a rule.

#include "allod/billing/v1/invoice.grpc.pb.h"
#include "cli/commands/invoice_view.h"
#include "cli/commands/tenant_commands.h"
#include "cli/net/connections.h"
#include "cli/terminal/print.h"

namespace allod::cli::commands {

void AddInvoiceActions(CLI::App& invoice, Globals& globals);
void AddInvoiceCorrections(CLI::App& invoice, Globals& globals);

namespace {

namespace billing_v1 = allod::billing::v1;

struct InvoiceOptions {
  std::string tenant;
  std::string period = "current";
};

Status Invoice(const Globals& globals, const InvoiceOptions& options) {
  if (options.tenant.empty()) return InvalidArgument("NAME_REQUIRED", "give the tenant: allod invoice tenants/TENANT");
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  billing_v1::GetInvoiceRequest request;
  request.set_name(tenant + "/invoices/" + options.period);
  using Invoices = billing_v1::InvoiceService;
  const auto invoice = net::Ask<Invoices>(services, &Invoices::Stub::GetInvoice, request);
  if (!invoice) {
    if (invoice.error().code == Code::kNotFound) ALLOD_CHECK_OK(CheckThereIs(services, tenant));
    return std::unexpected(invoice.error());
  }
  terminal::Print(globals.json() ? terminal::ToJson(*invoice) : ShowInvoice(*invoice));
  return {};
}

}  // namespace

void AddInvoice(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<InvoiceOptions>();
  CLI::App* command = app.add_subcommand("invoice", "Show a tenant's invoice of a month; issue, list and correct them");
  command->add_option("tenant", options->tenant, kTenantHelp);
  command->add_option("--period", options->period, "YYYY-MM in UTC (default: the current month)");
  command->require_subcommand(0, 1);
  AddInvoiceActions(*command, globals);
  AddInvoiceCorrections(*command, globals);
  // It is called after its subcommand's.
  command->callback([&globals, options, command] {
    if (command->get_subcommands().empty()) {
      globals.action = [&globals, options] { return Invoice(globals, *options); };
    }
  });
}

}  // namespace allod::cli::commands
