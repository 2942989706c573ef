// `allod wallet`: what a tenant has paid beforehand, vouchers, and what of its invoices is paid.

#include <fmt/format.h>

#include <vector>

#include "allod/billing/v1/wallet.grpc.pb.h"
#include "cli/commands/may_be_done.h"
#include "cli/commands/tenant_commands.h"
#include "cli/net/connections.h"
#include "cli/net/pages.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"
#include "services/common/rpc/timestamp.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;
using Wallets = billing_v1::WalletService;

constexpr int kListedMax = 10'000;

struct WalletOptions {
  std::string tenant;
  std::string invoice;
  std::string amount;
  std::string currency;
  std::string reference;
  std::string code;
  std::string note;
  std::string request_id;
  int count = 1;
  int uses = 1;
  int days = 365;
};

Status GetWallet(const Globals& globals, const WalletOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  billing_v1::GetWalletRequest request;
  request.set_name(tenant + "/wallet");
  const auto wallet = net::Ask<Wallets>(services, &Wallets::Stub::GetWallet, request);
  if (!wallet) {
    if (wallet.error().code == Code::kNotFound) ALLOD_CHECK_OK(CheckThereIs(services, tenant));
    return std::unexpected(wallet.error());
  }
  const terminal::Columns columns = {{"NAME", "name"},
                                     {"CURRENCY", "balance.currency_code"},
                                     {"BALANCE", "balance.amount"},
                                     {"CREDIT LIMIT", "credit_limit.amount"},
                                     {"OWED", "owed.amount"},
                                     {"HELD", "held.amount"},
                                     {"AVAILABLE", "available.amount"},
                                     {"TELL BELOW", "low_balance"}};
  terminal::Print(globals.json() ? terminal::ToJson(*wallet) : terminal::MessageTable(columns, {&*wallet}));
  return {};
}

Status TellBelow(const Globals& globals, const WalletOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  billing_v1::UpdateWalletRequest request;
  request.mutable_wallet()->set_name(tenant + "/wallet");
  if (options.amount != "none") request.mutable_wallet()->set_low_balance(options.amount);
  ALLOD_CHECK_OK(net::Ask<Wallets>(services, &Wallets::Stub::UpdateWallet, request));
  return GetWallet(globals, options);
}

// A payment that was recorded, or may have been.
Status ShowPayment(const Globals& globals, const Result<billing_v1::Payment>& payment, const std::string& request_id) {
  if (!payment) return std::unexpected(ToRepeat(payment.error(), request_id));
  if (globals.json()) {
    terminal::Print(terminal::ToJson(*payment));
  } else {
    terminal::Print(
        fmt::format("{}: {} {}\n", payment->name(), payment->amount().amount(), payment->amount().currency_code()));
  }
  return {};
}

template <typename Request, typename Method>
Status Record(const Globals& globals, const WalletOptions& options, Request request, Method method) {
  request.set_amount(options.amount);
  request.set_reference(options.reference);
  request.set_request_id(RequestIdOr(options.request_id));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  return ShowPayment(globals, net::Ask<Wallets>(services, method, request), request.request_id());
}

Status TopUp(const Globals& globals, const WalletOptions& options) {
  billing_v1::TopUpWalletRequest request;
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  request.set_name(tenant + "/wallet");
  return Record(globals, options, request, &Wallets::Stub::TopUpWallet);
}

Status Refund(const Globals& globals, const WalletOptions& options) {
  billing_v1::RefundWalletRequest request;
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  request.set_name(tenant + "/wallet");
  return Record(globals, options, request, &Wallets::Stub::RefundWallet);
}

Status PayInvoice(const Globals& globals, const WalletOptions& options) {
  billing_v1::PayInvoiceRequest request;
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_CHECK_OK(CheckId("invoice", options.invoice));
  request.set_invoice(tenant + "/invoices/" + options.invoice);
  return Record(globals, options, request, &Wallets::Stub::PayInvoice);
}

Status Redeem(const Globals& globals, const WalletOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  billing_v1::RedeemVoucherRequest request;
  request.set_name(tenant + "/wallet");
  request.set_code(options.code);
  request.set_request_id(RequestIdOr(options.request_id));
  return ShowPayment(globals, net::Ask<Wallets>(services, &Wallets::Stub::RedeemVoucher, request),
                     request.request_id());
}

Status ListPayments(const Globals& globals, const WalletOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  billing_v1::ListPaymentsRequest request;
  request.set_parent(tenant);
  ALLOD_TRY(const auto listed, net::List<Wallets>(services, &Wallets::Stub::ListPayments, request, kListedMax));
  if (listed.items.empty()) ALLOD_CHECK_OK(CheckThereIs(services, tenant));
  terminal::PrintList(globals.json(),
                      {{"NAME", "name"},
                       {"KIND", "kind"},
                       {"CURRENCY", "amount.currency_code"},
                       {"AMOUNT", "amount.amount"},
                       {"INVOICE", "invoice"},
                       {"REFERENCE", "reference"},
                       {"TIME", "create_time"}},
                      terminal::PointersTo(listed.items));
  return {};
}

Status ListInvoices(const Globals& globals, const WalletOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  billing_v1::ListInvoiceBalancesRequest request;
  request.set_parent(tenant);
  ALLOD_TRY(const auto listed, net::List<Wallets>(services, &Wallets::Stub::ListInvoiceBalances, request, kListedMax));
  if (listed.items.empty()) ALLOD_CHECK_OK(CheckThereIs(services, tenant));
  terminal::PrintList(globals.json(),
                      {{"INVOICE", "invoice"},
                       {"NUMBER", "number"},
                       {"STATE", "state"},
                       {"CURRENCY", "payable.currency_code"},
                       {"PAYABLE", "payable.amount"},
                       {"CREDITED", "credited.amount"},
                       {"PAID", "paid.amount"},
                       {"OPEN", "open.amount"},
                       {"DUE", "due_time"}},
                      terminal::PointersTo(listed.items));
  return {};
}

Status CreateVouchers(const Globals& globals, const WalletOptions& options) {
  billing_v1::CreateVouchersRequest request;
  auto& voucher = *request.mutable_voucher();
  voucher.mutable_amount()->set_amount(options.amount);
  voucher.mutable_amount()->set_currency_code(options.currency);
  voucher.set_uses_max(options.uses);
  *voucher.mutable_expire_time() =
      ToTimestamp(std::chrono::system_clock::now() + std::chrono::hours(24) * options.days);
  voucher.set_note(options.note);
  request.set_count(options.count);
  request.set_request_id(RequestIdOr(options.request_id));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  const auto made = net::Ask<Wallets>(services, &Wallets::Stub::CreateVouchers, request);
  if (!made) return std::unexpected(ToRepeat(made.error(), request.request_id()));
  if (globals.json()) {
    terminal::Print(terminal::ToJson(*made));
    return {};
  }
  terminal::PrintList(false,
                      {{"CODE", "code"},
                       {"CURRENCY", "voucher.amount.currency_code"},
                       {"AMOUNT", "voucher.amount.amount"},
                       {"USES", "voucher.uses_max"},
                       {"EXPIRES", "voucher.expire_time"}},
                      terminal::Messages(made->vouchers().pointer_begin(), made->vouchers().pointer_end()));
  terminal::Print("The codes are not kept: they are shown here and nowhere else.\n");
  return {};
}

Status ListVouchers(const Globals& globals, const WalletOptions&) {
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto listed,
            net::List<Wallets>(services, &Wallets::Stub::ListVouchers, billing_v1::ListVouchersRequest(), kListedMax));
  terminal::PrintList(globals.json(),
                      {{"NAME", "name"},
                       {"CURRENCY", "amount.currency_code"},
                       {"AMOUNT", "amount.amount"},
                       {"USES", "uses_max"},
                       {"USED", "used"},
                       {"EXPIRES", "expire_time"},
                       {"NOTE", "note"}},
                      terminal::PointersTo(listed.items));
  return {};
}

void AddVouchers(CLI::App& wallet, Globals& globals) {
  CLI::App* vouchers = wallet.add_subcommand("vouchers", "Make and list vouchers");
  vouchers->require_subcommand(1);
  const auto [create, options] = AddCommand<WalletOptions>(
      *vouchers, globals, "create", "Make vouchers; their codes are shown once", &CreateVouchers);
  create->add_option("--amount", options->amount, "Of each use, as in 12.50")->required();
  create->add_option("--currency", options->currency, "ISO 4217, as in KES")->required();
  create->add_option("--count", options->count, "How many (default: 1)")->check(CLI::Range(1, 1000));
  create->add_option("--uses", options->uses, "By how many tenants each may be redeemed (default: 1)");
  create->add_option("--days", options->days, "For how long they are good (default: 365)")->check(CLI::Range(1, 1826));
  create->add_option("--note", options->note, "For yourself");
  AddRequestIdOption(*create, options->request_id);
  AddCommand<WalletOptions>(*vouchers, globals, "list", "List vouchers and how often they were used", &ListVouchers);
}

}  // namespace

void AddWallet(CLI::App& app, Globals& globals) {
  CLI::App* wallet =
      app.add_subcommand("wallet", "What a tenant has paid beforehand, vouchers, and what is paid of its invoices");
  wallet->require_subcommand(1);
  const auto add = [&](const char* name, const char* what, auto run) {
    const auto [command, options] = AddCommand<WalletOptions>(*wallet, globals, name, what, run);
    command->add_option("tenant", options->tenant, kTenantHelp)->required();
    return std::pair(command, options);
  };
  const auto of_money = [&](CLI::App* command, const auto& options) {
    command->add_option("--amount", options->amount, "In the account's currency, as in 12.50")->required();
    command->add_option("--reference", options->reference, "What the bank says of it");
    AddRequestIdOption(*command, options->request_id);
  };
  add("get", "Show a wallet and what may still be spent", &GetWallet);
  const auto [tell, of_tell] =
      add("tell-below", "Have an event when the balance, less what is owed, gets low", &TellBelow);
  tell->add_option("amount", of_tell->amount, "In the account's currency, as in 100; or none")->required();
  add("payments", "List what came in and went out", &ListPayments);
  add("invoices", "List what is open of issued invoices", &ListInvoices);
  const auto [top_up, of_top_up] = add("top-up", "Record that a tenant paid into its wallet", &TopUp);
  of_money(top_up, of_top_up);
  const auto [refund, of_refund] = add("refund", "Record that money of a wallet was paid back", &Refund);
  of_money(refund, of_refund);
  const auto [pay, of_pay] = add("pay-invoice", "Record that a tenant paid an invoice, or a part of it", &PayInvoice);
  pay->add_option("invoice", of_pay->invoice, "YYYY-MM")->required();
  of_money(pay, of_pay);
  const auto [redeem, of_redeem] = add("redeem", "Redeem a voucher", &Redeem);
  redeem->add_option("code", of_redeem->code, "As in ABCDE-12345-FGHJK-67890")->required();
  AddRequestIdOption(*redeem, of_redeem->request_id);
  AddVouchers(*wallet, globals);
}

}  // namespace allod::cli::commands
