#include "cli/commands/invoice_view.h"

#include <fmt/format.h>

#include "cli/terminal/print.h"

namespace allod::cli::commands {
namespace {

std::string Text(const billing::v1::Money& money) {
  return fmt::format("{} {}", money.currency_code(), money.amount());
}

terminal::Columns ColumnsOf(const billing::v1::Invoice& invoice) {
  if (invoice.kind() == billing::v1::Invoice::KIND_CREDIT_NOTE) {
    return {{"LINE", "credited_line"},    {"USAGE", "usage_period"}, {"INSTANCE", "instance"},
            {"VARIANT", "variant"},       {"METER", "meter"},        {"CLASS", "isolation_class"},
            {"CREDITED", "amount.amount"}};
  }
  terminal::Columns out;
  if (invoice.state() != billing::v1::Invoice::STATE_DRAFT) out = {{"LINE", "number"}, {"USAGE", "usage_period"}};
  out.insert(out.end(), {{"INSTANCE", "instance"},
                         {"VARIANT", "variant"},
                         {"CLASS", "isolation_class"},
                         {"REQUESTS", "request_count"},
                         {"PROMPT", "prompt_tokens"},
                         {"AT / MILLION", "prompt_price_per_million.amount"},
                         {"COMPLETION", "completion_tokens"},
                         {"AT / MILLION", "completion_price_per_million.amount"},
                         {"AMOUNT", "amount.amount"}});
  return out;
}

terminal::Columns ChargeColumnsOf(const billing::v1::Invoice& invoice) {
  terminal::Columns out;
  const bool is_credit = invoice.kind() == billing::v1::Invoice::KIND_CREDIT_NOTE;
  if (is_credit) {
    out = {{"LINE", "credited_line"}, {"OF", "usage_period"}};
  } else if (invoice.state() != billing::v1::Invoice::STATE_DRAFT) {
    out = {{"LINE", "number"}, {"OF", "usage_period"}};
  }
  out.insert(out.end(), {{"CHARGE", "charge.kind"}, {"DETAIL", "charge.detail"}, {"INSTANCE", "instance"}});
  if (!is_credit) {
    out.insert(out.end(), {{"QUANTITY", "charge.quantity"},
                           {"UNIT", "charge.unit"},
                           {"PRICE", "charge.unit_price.amount"},
                           {"OF EACH", "charge.price_quantity"}});
  }
  out.push_back({is_credit ? "CREDITED" : "AMOUNT", "amount.amount"});
  return out;
}

}  // namespace

std::string ShowInvoice(const billing::v1::Invoice& invoice) {
  std::string out = fmt::format("{} ({})", invoice.name(), terminal::FieldText(invoice, "state"));
  if (!invoice.number().empty()) out += fmt::format(", number {}", invoice.number());
  if (!invoice.corrected_number().empty()) {
    out += fmt::format(", corrects {}: {}", invoice.corrected_number(), invoice.reason());
  }
  terminal::Messages lines, charges;
  for (const auto& line : invoice.lines()) (line.has_charge() ? charges : lines).push_back(&line);
  out += "\n\n";
  if (!lines.empty() || charges.empty()) out += terminal::MessageTable(ColumnsOf(invoice), lines);
  if (!charges.empty()) {
    out += (lines.empty() ? "" : "\n") + terminal::MessageTable(ChargeColumnsOf(invoice), charges);
  }
  out += fmt::format("\nTotal: {}\n", Text(invoice.total()));
  for (const auto& tax : invoice.taxes()) {
    out +=
        fmt::format("Tax ({}.{:02} %): {}\n", tax.basis_points() / 100, tax.basis_points() % 100, Text(tax.amount()));
  }
  if (invoice.has_payable()) {
    const bool is_credit = invoice.kind() == billing::v1::Invoice::KIND_CREDIT_NOTE;
    out += fmt::format("{}: {}\n", is_credit ? "Credited" : "To pay", Text(invoice.payable()));
  }
  return out;
}

}  // namespace allod::cli::commands
