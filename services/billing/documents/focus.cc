#include <fmt/format.h>

#include <array>

#include "services/billing/documents/formats.h"
#include "services/billing/documents/text.h"

namespace allod::billing::documents {
namespace {

constexpr auto kColumns = std::to_array<std::string_view>({"BilledCost",
                                                           "BillingAccountId",
                                                           "BillingAccountName",
                                                           "BillingAccountType",
                                                           "BillingCurrency",
                                                           "BillingPeriodEnd",
                                                           "BillingPeriodStart",
                                                           "ChargeCategory",
                                                           "ChargeClass",
                                                           "ChargeDescription",
                                                           "ChargeFrequency",
                                                           "ChargePeriodEnd",
                                                           "ChargePeriodStart",
                                                           "ConsumedQuantity",
                                                           "ConsumedUnit",
                                                           "ContractedCost",
                                                           "ContractedUnitPrice",
                                                           "EffectiveCost",
                                                           "HostProviderName",
                                                           "InvoiceId",
                                                           "InvoiceIssuerName",
                                                           "ListCost",
                                                           "ListUnitPrice",
                                                           "PricingCategory",
                                                           "PricingQuantity",
                                                           "PricingUnit",
                                                           "ProviderName",
                                                           "PublisherName",
                                                           "ResourceId",
                                                           "ResourceName",
                                                           "ResourceType",
                                                           "ServiceCategory",
                                                           "ServiceName",
                                                           "ServiceProviderName",
                                                           "SkuId",
                                                           "SkuMeter",
                                                           "SkuPriceId",
                                                           "SubAccountId",
                                                           "SubAccountName",
                                                           "SubAccountType"});

// What differs from row to row; empty is null.
struct Row {
  Amount cost;
  std::string category;
  std::string description;
  InvoicePeriod period;
  const IssuedLine* usage = nullptr;  // null: about the document as a whole
};

// Exact: millionths of a token count.
std::string Millions(std::int64_t tokens) { return Amount::FromPico(Int128{tokens} * 1'000'000).ToString(); }

void AddRow(const IssuedInvoice& invoice, const Row& row, CsvRows& out) {
  const bool is_credit = IsCredit(invoice);
  const IssuedLine* usage = row.usage;
  const bool has_quantity = usage != nullptr && !is_credit;
  const std::string cost = row.cost.ToString();
  const std::string meter =
      usage == nullptr ? "" : (usage->meter == Meter::kPrompt ? "Prompt tokens" : "Completion tokens");
  const std::string project = usage == nullptr ? "" : ProjectIdOf(usage->instance);
  const std::string price = usage == nullptr ? "" : PerMillion(usage->unit_price);
  out.AddNumber(cost);
  out.Add(invoice.tenant_name);
  out.Add(invoice.buyer.name);
  out.Add("Tenant");
  out.Add(invoice.currency_code);
  out.Add(Instant(invoice.period.end));
  out.Add(Instant(invoice.period.start));
  out.Add(row.category);
  out.Add(is_credit ? "Correction" : "");
  out.Add(row.description);
  out.Add(usage == nullptr || is_credit ? "One-Time" : "Usage-Based");
  out.Add(Instant(row.period.end));
  out.Add(Instant(row.period.start));
  out.AddNumber(has_quantity ? std::to_string(usage->quantity) : "");
  out.Add(has_quantity ? "Tokens" : "");
  out.AddNumber(cost);  // nothing is contracted apart from the price book that was pinned
  out.AddNumber(has_quantity ? price : "");
  out.AddNumber(cost);
  out.Add(invoice.seller.name);
  out.Add(invoice.number);
  out.Add(invoice.seller.name);
  out.AddNumber(cost);
  out.AddNumber(has_quantity ? price : "");
  out.Add(has_quantity ? "Standard" : "");
  out.AddNumber(has_quantity ? Millions(usage->quantity) : "");
  out.Add(has_quantity ? "1000000 Tokens" : "");
  out.Add(invoice.seller.name);
  out.Add(invoice.seller.name);
  out.Add(usage == nullptr ? "" : usage->instance);
  out.Add(usage == nullptr ? "" : LastSegment(usage->instance));
  out.Add(usage == nullptr ? "" : "Instance");
  out.Add("AI and Machine Learning");
  out.Add("Inference");
  out.Add(invoice.seller.name);
  out.Add(usage == nullptr ? "" : usage->variant);
  out.Add(meter);
  out.Add(usage == nullptr
              ? ""
              : fmt::format("{}/{}/{}/{}", usage->price_book.ToString(), LastSegment(usage->variant),
                            usage->isolation_class, usage->meter == Meter::kPrompt ? "prompt" : "completion"));
  out.Add(project.empty() ? "" : invoice.tenant_name + "/projects/" + project);
  out.Add(project);
  out.Add(project.empty() ? "" : "Project");
  out.End();
}

}  // namespace

std::string MakeFocus(const IssuedInvoice& invoice, int) {
  CsvRows out;
  for (const std::string_view column : kColumns) out.Add(column);
  out.End();
  const bool is_credit = IsCredit(invoice);
  for (const IssuedLine& line : invoice.lines) {
    AddRow(invoice,
           {.cost = is_credit ? Negated(line.amount) : line.exact,
            .category = is_credit ? "Credit" : "Usage",
            .description =
                fmt::format("{} of {} ({})", line.meter == Meter::kPrompt ? "Prompt tokens" : "Completion tokens",
                            line.variant, line.isolation_class),
            .period = PeriodOf(line.month),
            .usage = &line},
           out);
  }
  if (invoice.residue != Amount()) {
    AddRow(invoice,
           {.cost = Negated(invoice.residue),
            .category = "Adjustment",
            .description = "Rounding of lines to the minor unit",
            .period = invoice.period},
           out);
  }
  for (const TaxSubtotal& tax : invoice.taxes) {
    if (tax.tax == Amount()) continue;
    AddRow(invoice,
           {.cost = is_credit ? Negated(tax.tax) : tax.tax,
            .category = "Tax",
            .description = fmt::format("Tax {} {}%", CodeOf(tax.category), Percent(tax.basis_points)),
            .period = invoice.period},
           out);
  }
  return out.Take();
}

}  // namespace allod::billing::documents
