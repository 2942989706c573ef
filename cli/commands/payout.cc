// `allod payout`: what publishers get of listings, and the statements by which they are paid.

#include <fmt/format.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "allod/billing/v1/payout.grpc.pb.h"
#include "cli/commands/commands.h"
#include "cli/net/connections.h"
#include "cli/net/pages.h"
#include "cli/terminal/print.h"
#include "services/common/digest.h"

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
  int basis_points = 0;
};

// "acme" and "publishers/acme" are the same.
std::string PayoutNamed(const char* collection, const std::string& text) {
  const std::string prefix = fmt::format("{}/", collection);
  return text.starts_with(prefix) ? text : fmt::format("{}{}", prefix, text);
}

void ShowPayout(const Globals& globals, const billing_v1::Payout& payout) {
  if (globals.json()) return terminal::Print(terminal::ToJson(payout));
  std::string out = fmt::format("{}, number {}\n\n", payout.name(), payout.number());
  const terminal::Messages lines(payout.lines().pointer_begin(), payout.lines().pointer_end());
  out += terminal::MessageTable({{"LINE", "number"},
                                 {"LISTING", "listing"},
                                 {"DOCUMENTS", "document_count"},
                                 {"NET", "net.amount"},
                                 {"SHARE / 10000", "basis_points"},
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
                       {"SHARE / 10000", "basis_points"},
                       {"SINCE", "create_time"}},
                      terminal::PointersTo(listed.items));
  return {};
}

Status SetRevenueShare(const Globals& globals, const PayoutOptions& options) {
  billing_v1::SetRevenueShareRequest request;
  auto& share = *request.mutable_revenue_share();
  share.set_listing(PayoutNamed("listings", options.listing));
  share.set_publisher(PayoutNamed("publishers", options.publisher));
  share.set_basis_points(options.basis_points);
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto stored, net::Ask<Payouts>(services, &Payouts::Stub::SetRevenueShare, request));
  terminal::Print(globals.json() ? terminal::ToJson(stored)
                                 : fmt::format("{}: {} gets {}.{:02} % of what is invoiced from now on (version {})\n",
                                               stored.listing(), stored.publisher(), stored.basis_points() / 100,
                                               stored.basis_points() % 100, stored.version()));
  return {};
}

Status GetPayout(const Globals& globals, const PayoutOptions& options) {
  billing_v1::GetPayoutRequest request;
  request.set_name(PayoutNamed("payouts", options.payout));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto payout, net::Ask<Payouts>(services, &Payouts::Stub::GetPayout, request));
  ShowPayout(globals, payout);
  return {};
}

Status FinalisePayout(const Globals& globals, const PayoutOptions& options) {
  billing_v1::FinalisePayoutRequest request;
  request.set_name(PayoutNamed("payouts", options.payout));
  request.set_legal_entity(PayoutNamed("legalEntities", options.legal_entity));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto payout, net::Ask<Payouts>(services, &Payouts::Stub::FinalisePayout, request, kPayoutTimeout));
  ShowPayout(globals, payout);
  return {};
}

Status WritePayout(const Globals& globals, const PayoutOptions& options) {
  billing_v1::GetPayoutDocumentRequest request;
  request.set_name(PayoutNamed("payouts", options.payout));
  request.set_format(options.format);
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto document,
            net::Ask<Payouts>(services, &Payouts::Stub::GetPayoutDocument, request, kPayoutTimeout));
  if (Sha256Hex(document.content()) != document.sha256()) {
    return Internal("the file is not what the service says that it is; ask again");
  }
  if (options.file.empty()) {
    terminal::Print(document.content());
    return {};
  }
  std::ofstream file(options.file, std::ios::binary | std::ios::trunc);
  file << document.content();
  file.close();
  if (!file) return Fail(Code::kInternal, "FILE_NOT_WRITTEN", fmt::format("{} could not be written", options.file));
  terminal::Print(
      globals.json()
          ? nlohmann::json{{"file", options.file}, {"bytes", document.size_bytes()}, {"sha256", document.sha256()}}
                    .dump(2) +
                "\n"
          : fmt::format("{}: {} bytes\n", options.file, document.size_bytes()));
  return {};
}

Status RecordPayoutPayment(const Globals& globals, const PayoutOptions& options) {
  billing_v1::RecordPayoutPaymentRequest request;
  request.set_name(PayoutNamed("payouts", options.payout));
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
  finalise->add_option("--legal-entity", of_finalise->legal_entity, "Who pays")->required();
  const auto [document, of_document] = add("document", "Write a payout as a file", &WritePayout, true);
  document->add_option("--format", of_document->format, "csv or pdf (default: pdf)")
      ->type_name("FORMAT")
      ->transform(CLI::CheckedTransformer(kPayoutFormats, CLI::ignore_case).description(""));
  document->add_option("--file", of_document->file, "Where to (default: standard output)");
  const auto [payment, of_payment] = add("record-payment", "Say that a payout was paid", &RecordPayoutPayment, true);
  payment->add_option("--paid-on", of_payment->paid_on, "YYYY-MM-DD")->required();
  payment->add_option("--reference", of_payment->reference, "Of the bank or the like")->required();
  add("shares", "List what publishers get of listings", &ListRevenueShares, false);
  const auto [share, of_share] =
      add("share", "Set what a publisher gets of a listing, for invoices from now on", &SetRevenueShare, false);
  share->add_option("listing", of_share->listing, "LISTING or listings/LISTING")->required();
  share->add_option("--publisher", of_share->publisher, "PUBLISHER or publishers/PUBLISHER")->required();
  share->add_option("--basis-points", of_share->basis_points, "Hundredths of a percent of the net, 0 to 10000")
      ->required();
}

}  // namespace allod::cli::commands
