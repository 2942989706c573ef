// What a credit note says.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <utility>

#include "services/billing/invoice.h"
#include "services/billing/invoice_totals.h"

namespace allod::billing {
namespace {

// All credits of an invoice together give back no more than it asked: a line in full, of which a discount took
// something off, is more than that.
Status CheckCreditedNet(const CreditState& state, const std::vector<IssuedLine>& lines) {
  Amount credit, left = state.invoice.net;
  for (const IssuedLine& line : lines) {
    ALLOD_TRY(credit, Add(credit, line.amount));
  }
  for (const auto& [number, credited] : state.credited) {
    ALLOD_TRY(left, Subtract(left, credited));
  }
  if (lines.empty() || credit == Amount()) {
    return FailedPrecondition("NOTHING_TO_CREDIT", "nothing is left of it to be credited");
  }
  if (credit < Amount()) {
    return InvalidArgument(
        "INVALID_CREDIT", fmt::format("lines: together they are {}, and a credit note gives something back; name lines "
                                      "that asked for more as well",
                                      credit.ToString()));
  }
  if (credit > left) {
    return FailedPrecondition("CREDIT_EXCEEDS_INVOICE",
                              fmt::format("lines: {} is more than the {} that is left of the invoice, which took "
                                          "something off; credit that as well",
                                          credit.ToString(), left.ToString()));
  }
  return {};
}

// What is to be given back of each line, checked against what is left of it.
Result<std::vector<IssuedLine>> CreditedLines(const CreditState& state, const CreditCommand& command, int decimals) {
  std::map<std::int32_t, std::optional<Amount>> wanted;
  for (const CreditCommand::Line& line : command.lines) {
    if (!wanted.emplace(line.number, line.amount).second) {
      return InvalidArgument("INVALID_CREDIT", fmt::format("lines: line {} is named twice", line.number));
    }
  }
  std::vector<IssuedLine> out;
  for (const IssuedLine& line : state.invoice.lines) {
    const auto want = wanted.find(line.number);
    if (want == wanted.end() && !wanted.empty()) continue;
    const auto credited = state.credited.find(line.number);
    ALLOD_TRY(const Amount left, Subtract(line.amount, credited == state.credited.end() ? Amount() : credited->second));
    const std::optional<Amount> asked = want == wanted.end() ? std::nullopt : want->second;
    if (want != wanted.end()) wanted.erase(want);
    const Amount amount = asked.value_or(left);
    const bool takes_off = line.amount < Amount();
    if (asked && (amount == Amount() || (amount < Amount()) != takes_off || Round(amount, decimals) != amount)) {
      return InvalidArgument(
          "INVALID_CREDIT", fmt::format("lines: {} of line {} is not a {} amount of at most {} decimals",
                                        amount.ToString(), line.number, takes_off ? "negative" : "positive", decimals));
    }
    if (takes_off ? amount < left : amount > left) {
      return FailedPrecondition("CREDIT_EXCEEDS_INVOICE",
                                fmt::format("lines: {} of line {} is more than the {} that is left of it",
                                            amount.ToString(), line.number, left.ToString()));
    }
    if (amount != Amount()) {
      IssuedLine credit = line;
      credit.number = static_cast<std::int32_t>(out.size()) + 1;
      credit.credited_line = line.number;
      credit.quantity = credit.request_count = 0;
      credit.exact = credit.amount = amount;
      out.push_back(std::move(credit));
    }
    if (!command.lines.empty() && wanted.empty()) break;
  }
  if (!wanted.empty()) {
    return InvalidArgument("INVALID_CREDIT", fmt::format("lines: the invoice has no line {}", wanted.begin()->first));
  }
  ALLOD_CHECK_OK(CheckCreditedNet(state, out));
  return out;
}

}  // namespace

Result<IssuedInvoice> DecideCredit(const CreditState& state, const CreditCommand& command, Time now) {
  const IssuedInvoice& invoice = state.invoice;
  if (state.credit_notes >= kCreditNotesPerInvoiceMax) {
    return FailedPrecondition(
        "TOO_MANY_CREDIT_NOTES",
        fmt::format("{} credit notes correct this invoice; that is the most", kCreditNotesPerInvoiceMax));
  }
  ALLOD_TRY(const int decimals, MinorUnitDecimals("currency_code", invoice.currency_code));
  IssuedInvoice out = invoice;
  out.kind = IssuedInvoice::Kind::kCreditNote;
  out.id = fmt::format("{}-c{}", invoice.id, state.credit_notes + 1);
  out.sequence = 0;
  out.number.clear();
  out.issue_time = out.due_time = std::chrono::floor<std::chrono::microseconds>(now);
  out.payment_terms.clear();
  out.taxes.clear();
  out.net = out.tax = out.payable = out.residue = Amount();
  out.corrected_id = invoice.id;
  out.corrected_number = invoice.number;
  out.corrected_issue_time = invoice.issue_time;
  out.reason = command.reason;
  out.request = command.request;
  ALLOD_TRY(out.lines, CreditedLines(state, command, decimals));
  std::map<TaxKey, Amount> before;
  for (const IssuedLine& line : invoice.lines) {
    if (const auto credited = state.credited.find(line.number); credited != state.credited.end()) {
      Amount& sum = before[{line.tax_category, line.tax_basis_points}];
      ALLOD_TRY(sum, Add(sum, credited->second));
    }
  }
  ALLOD_TRY(const auto nets, NetByTax(out.lines));
  for (const auto& [key, net] : nets) {
    // Of all credits together, less those before: in the end exactly the invoice's tax is given back.
    ALLOD_TRY(const Amount after, Add(before[key], net));
    ALLOD_TRY(const Amount tax, Subtract(TaxOn(after, key.second, decimals), TaxOn(before[key], key.second, decimals)));
    const auto of = std::ranges::find_if(invoice.taxes, [&](const TaxSubtotal& subtotal) {
      return TaxKey(subtotal.category, subtotal.basis_points) == key;
    });
    out.taxes.push_back({key.first, key.second, net, tax, of == invoice.taxes.end() ? "" : of->note});
  }
  ALLOD_CHECK_OK(AddUp(out));
  return out;
}

}  // namespace allod::billing
