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

}  // namespace

std::string ShowInvoice(const billing::v1::Invoice& invoice) {
  std::string out = fmt::format("{} ({})", invoice.name(), terminal::FieldText(invoice, "state"));
  if (!invoice.number().empty()) out += fmt::format(", number {}", invoice.number());
  if (!invoice.corrected_number().empty()) {
    out += fmt::format(", corrects {}: {}", invoice.corrected_number(), invoice.reason());
  }
  const terminal::Messages lines(invoice.lines().pointer_begin(), invoice.lines().pointer_end());
  out += "\n\n" + terminal::MessageTable(ColumnsOf(invoice), lines);
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
