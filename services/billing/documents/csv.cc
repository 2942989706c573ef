#include "services/common/csv.h"

#include "services/billing/documents/formats.h"
#include "services/billing/documents/text.h"

namespace allod::billing::documents {
namespace {

constexpr std::int64_t kTokensPerPrice = 1'000'000;

}  // namespace

std::string MakeCsv(const IssuedInvoice& invoice, int decimals) {
  CsvRows rows;
  for (const char* heading :
       {"number",       "kind",        "issue_date",        "period",       "corrected_number", "line",
        "usage_period", "instance",    "variant",           "price_book",   "isolation_class",  "meter",
        "requests",     "tokens",      "price_per_million", "exact_amount", "amount",           "currency",
        "tax_category", "tax_percent", "quantity",          "unit",         "unit_price",       "price_quantity",
        "detail"}) {
    rows.Add(heading);
  }
  rows.End();
  const bool is_credit = IsCredit(invoice);
  const auto with_sign = [&](Amount amount) { return is_credit ? Negated(amount) : amount; };
  for (const IssuedLine& line : invoice.lines) {
    rows.Add(invoice.number);
    rows.Add(is_credit ? "credit_note" : "invoice");
    rows.Add(Date(invoice.issue_time));
    rows.Add(invoice.period.name);
    rows.Add(invoice.corrected_number);
    rows.AddNumber(std::to_string(is_credit ? line.credited_line : line.number));
    rows.Add(PeriodOf(line.month).name);
    rows.Add(line.instance);
    rows.Add(line.variant);
    rows.Add(line.price_book == Uuid() && line.charge ? "" : line.price_book.ToString());
    rows.Add(line.isolation_class);
    const bool has_tokens = !is_credit && !line.charge;
    if (line.charge) {
      rows.Add(CodeOf(line.charge->kind));
    } else {
      rows.Add(line.meter == Meter::kPrompt ? "prompt_tokens" : "completion_tokens");
    }
    rows.AddNumber(has_tokens ? std::to_string(line.request_count) : "");
    rows.AddNumber(has_tokens ? std::to_string(line.quantity) : "");
    rows.AddNumber(line.charge ? "" : PerMillion(line.unit_price));
    rows.AddNumber(with_sign(line.exact).ToString());
    rows.AddNumber(Fixed(with_sign(line.amount), decimals));
    rows.Add(invoice.currency_code);
    rows.Add(CodeOf(line.tax_category));
    rows.AddNumber(Percent(line.tax_basis_points));
    rows.AddNumber(is_credit ? "" : std::to_string(line.quantity));
    rows.Add(line.charge ? CodeOf(line.charge->unit) : "token");
    rows.AddNumber(line.charge ? line.unit_price.ToString() : PerMillion(line.unit_price));
    rows.AddNumber(std::to_string(line.charge ? line.charge->per : kTokensPerPrice));
    rows.Add(line.charge ? line.charge->detail : "");
    rows.End();
  }
  return rows.Take();
}

}  // namespace allod::billing::documents
