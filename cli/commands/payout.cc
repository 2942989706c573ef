// `allod payout`: what publishers get of listings, and the statements by which they are paid.

#include <fmt/format.h>

#include <map>

#include "allod/billing/v1/payout.grpc.pb.h"
#include "cli/commands/commands.h"
#include "cli/commands/document_file.h"
#include "cli/commands/percent.h"
#include "cli/commands/short_names.h"
#include "cli/net/connections.h"
#include "cli/net/pages.h"
#include "cli/terminal/print.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;
using Payouts = billing_v1::PayoutService;

constexpr int kPayoutsListedMax = 10'000;
constexpr std::chrono::seconds kPayoutTimeout{60};

const std::map<std::string, billing_v1::DocumentFormat> kPayoutFormats = {{"csv", billing_v1::DOCUMENT_FORMAT_CSV},
                                                                          {"pdf", billing_v1::DOCUMENT_FORMAT_PDF}};

struct PayoutOptions {
  std::string payout;
  std::string legal_entity;
  billing_v1::DocumentFormat format = billing_v1::DOCUMENT_FORMAT_PDF;
  std::string file;
  std::string paid_on;
  std::string reference;
  std::string listing;
  std::string publisher;
  std::string percent;
};

// The share of a line or of a listing.
template <typename T>
std::string ShareText(const google::protobuf::Message& message) {
  return PercentText(dynamic_cast<const T&>(message).basis_points());
}

void ShowPayout(const Globals& globals, const billing_v1::Payout& payout) {
  if (globals.json()) return terminal::Print(terminal::ToJson(payout));
  std::string out = fmt::format("{}, number {}\n\n", payout.name(), payout.number());
  const terminal::Messages lines(payout.lines().pointer_begin(), payout.lines().pointer_end());
  out += terminal::MessageTable({{"LINE", "number"},
                                 {"LISTING", "listing"},
                                 {"DOCUMENTS", "document_count"},
                                 {"NET", "net.amount"},
                                 {"SHARE %", "basis_points", &ShareText<billing_v1::Payout::Line>},
                                 {"SHARE", "share.amount"}},
                                lines);
  out += fmt::format("\nEarned: {0} {1}\nPayable: {0} {2}\n", payout.payable().currency_code(),
                     payout.earned().amount(), payout.payable().amount());
  out += payout.paid_on().empty() ? "Not paid yet\n"
                                  : fmt::format("Paid on {}: {}\n", payout.paid_on(), payout.payment_reference());
  terminal::Print(out);
}

Status ListPayouts(const Globals& globals, const PayoutOptions&) {
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto listed, net::List<Payouts>(services, &Payouts::Stub::ListPayouts,
                                                  billing_v1::ListPayoutsRequest(), kPayoutsListedMax));
  terminal::PrintList(globals.json(),
                      {{"NAME", "name"},
                       {"NUMBER", "number"},
                       {"ISSUED", "issue_time"},
                       {"CURRENCY", "payable.currency_code"},
                       {"PAYABLE", "payable.amount"},
                       {"PAID", "paid_on"}},
                      terminal::PointersTo(listed.items));
  return {};
}

Status ListRevenueShares(const Globals& globals, const PayoutOptions&) {
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto listed, net::List<Payouts>(services, &Payouts::Stub::ListRevenueShares,
                                                  billing_v1::ListRevenueSharesRequest(), kPayoutsListedMax));
  terminal::PrintList(globals.json(),
                      {{"LISTING", "listing"},
                       {"VERSION", "version"},
                       {"PUBLISHER", "publisher"},
                       {"SHARE %", "basis_points", &ShareText<billing_v1::RevenueShare>},
                       {"SINCE", "create_time"}},
                      terminal::PointersTo(listed.items));
  return {};
}

Status SetRevenueShare(const Globals& globals, const PayoutOptions& options) {
  billing_v1::SetRevenueShareRequest request;
  auto& share = *request.mutable_revenue_share();
  share.set_listing(FullName("listings", options.listing));
  share.set_publisher(FullName("publishers", options.publisher));
  ALLOD_TRY(const std::int32_t basis_points, ParsePercent("--percent", options.percent));
  share.set_basis_points(basis_points);
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto stored, net::Ask<Payouts>(services, &Payouts::Stub::SetRevenueShare, request));
  terminal::Print(globals.json()
                      ? terminal::ToJson(stored)
                      : fmt::format("{}: {} gets {} % of what is invoiced from now on (version {})\n", stored.listing(),
                                    stored.publisher(), PercentText(stored.basis_points()), stored.version()));
  return {};
}

Status GetPayout(const Globals& globals, const PayoutOptions& options) {
  billing_v1::GetPayoutRequest request;
  request.set_name(FullName("payouts", options.payout));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto payout, net::Ask<Payouts>(services, &Payouts::Stub::GetPayout, request));
  ShowPayout(globals, payout);
  return {};
}

Status FinalisePayout(const Globals& globals, const PayoutOptions& options) {
  billing_v1::FinalisePayoutRequest request;
  request.set_name(FullName("payouts", options.payout));
  request.set_legal_entity(FullName("legalEntities", options.legal_entity));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto payout, net::Ask<Payouts>(services, &Payouts::Stub::FinalisePayout, request, kPayoutTimeout));
  ShowPayout(globals, payout);
  return {};
}

Status WritePayout(const Globals& globals, const PayoutOptions& options) {
  billing_v1::GetPayoutDocumentRequest request;
  request.set_name(FullName("payouts", options.payout));
  request.set_format(options.format);
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto document,
            net::Ask<Payouts>(services, &Payouts::Stub::GetPayoutDocument, request, kPayoutTimeout));
  return KeepDocument(globals, options.file, document.content(), document.sha256());
}

Status RecordPayoutPayment(const Globals& globals, const PayoutOptions& options) {
  billing_v1::RecordPayoutPaymentRequest request;
  request.set_name(FullName("payouts", options.payout));
  request.set_paid_on(options.paid_on);
  request.set_reference(options.reference);
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto payout, net::Ask<Payouts>(services, &Payouts::Stub::RecordPayoutPayment, request));
  ShowPayout(globals, payout);
  return {};
}

}  // namespace

void AddPayout(CLI::App& app, Globals& globals) {
  CLI::App* group = app.add_subcommand("payout", "What publishers get, and the statements by which they are paid");
  group->require_subcommand(1);
  const auto add = [&](const char* name, const char* what, auto run, bool of_one) {
    const auto [command, options] = AddCommand<PayoutOptions>(*group, globals, name, what, run);
    if (of_one) {
      command->add_option("payout", options->payout, "PUBLISHER-CURRENCY-YYYY-MM, as in acme-kes-2026-10")->required();
    }
    return std::pair(command, options);
  };
  add("list", "List payouts", &ListPayouts, false);
  add("get", "Show a payout", &GetPayout, true);
  const auto [finalise, of_finalise] =
      add("finalise", "Make the payout of an ended month, with all that is open until its end", &FinalisePayout, true);
  finalise->add_option("--legal-entity", of_finalise->legal_entity, "LEGAL ENTITY or legalEntities/ID: who pays")
      ->required();
  const auto [document, of_document] = add("document", "Write a payout as a file", &WritePayout, true);
  document->add_option("--format", of_document->format, "csv or pdf (default: pdf)")
      ->type_name("FORMAT")
      ->transform(WordOf(kPayoutFormats));
  AddFileOption(*document, of_document->file);
  const auto [payment, of_payment] = add("record-payment", "Say that a payout was paid", &RecordPayoutPayment, true);
  payment->add_option("--paid-on", of_payment->paid_on, "YYYY-MM-DD")->required();
  payment->add_option("--reference", of_payment->reference, "Of the bank or the like")->required();
  CLI::App* shares = group->add_subcommand("shares", "What publishers get of listings");
  shares->require_subcommand(1);
  AddCommand<PayoutOptions>(*shares, globals, "list", "List what publishers get of listings", &ListRevenueShares);
  const auto [set, of_set] = AddCommand<PayoutOptions>(
      *shares, globals, "set", "Set what a publisher gets of a listing, for invoices from now on", &SetRevenueShare);
  set->add_option("listing", of_set->listing, "LISTING or listings/LISTING")->required();
  set->add_option("--publisher", of_set->publisher, "PUBLISHER or publishers/PUBLISHER")->required();
  set->add_option("--percent", of_set->percent, "Of the net, as in 30 or 7.5; 0 ends it")->required();
}

}  // namespace allod::cli::commands
