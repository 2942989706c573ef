#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "services/billing/documents/formats.h"
#include "services/billing/documents/text.h"
#include "services/common/csv.h"

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

// How a line is measured and priced.
struct Measure {
  std::string_view unit;
  std::int64_t per;
  std::string price;
};
Measure MeasureOf(const IssuedLine& line) {
  if (!line.charge) return {"Tokens", 1'000'000, PerMillion(line.unit_price)};
  const std::string price = line.unit_price.ToString();
  switch (line.charge->unit) {
    case ChargeUnit::kOne:
      return {"Units", line.charge->per, price};
    case ChargeUnit::kSecond:
      return {"Seconds", line.charge->per, price};
    case ChargeUnit::kToken:
      return {"Tokens", line.charge->per, price};
  }
  std::abort();
}

std::string_view CategoryOf(const IssuedLine& line) {
  if (!line.charge) return "Usage";
  switch (line.charge->kind) {
    case ChargeKind::kInstanceTime:
      return "Usage";
    case ChargeKind::kFreeAllowance:
    case ChargeKind::kVolumeTier:
    case ChargeKind::kDiscount:
      return "Credit";
    case ChargeKind::kCommitmentShortfall:
      return "Purchase";
    case ChargeKind::kRerating:
      return "Adjustment";
  }
  std::abort();
}

std::string_view PriceIdOf(const IssuedLine& line) {
  if (line.charge) return CodeOf(line.charge->kind);
  return line.meter == Meter::kPrompt ? "prompt" : "completion";
}

std::string DescriptionOf(const IssuedLine& line) {
  const std::string_view name = EnglishNameOf(line);
  std::string out =
      line.variant.empty() ? std::string(name) : fmt::format("{} of {} ({})", name, line.variant, line.isolation_class);
  if (line.charge && !line.charge->detail.empty()) out += ": " + line.charge->detail;
  return out;
}

void AddRow(const IssuedInvoice& invoice, const Row& row, CsvRows& out) {
  const bool is_credit = IsCredit(invoice);
  const IssuedLine* usage = row.usage;
  const bool has_quantity = usage != nullptr && !is_credit && CategoryOf(*usage) == "Usage";
  const std::string cost = row.cost.ToString();
  const std::string_view meter = usage == nullptr ? "" : EnglishNameOf(*usage);
  const std::string project = usage == nullptr ? "" : ProjectIdOf(usage->instance);
  const Measure measure = has_quantity ? MeasureOf(*usage) : Measure{};
  const bool has_price_book = usage != nullptr && (!usage->charge || usage->price_book != Uuid());
  const bool has_instance = usage != nullptr && !usage->instance.empty();
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
  out.Add(has_quantity ? "Usage-Based" : "One-Time");
  out.Add(Instant(row.period.end));
  out.Add(Instant(row.period.start));
  out.AddNumber(has_quantity ? std::to_string(usage->quantity) : "");
  out.Add(measure.unit);
  out.AddNumber(cost);  // nothing is contracted apart from the price book that was pinned
  out.AddNumber(measure.price);
  out.AddNumber(cost);
  out.Add(invoice.seller.name);
  out.Add(invoice.number);
  out.Add(invoice.seller.name);
  out.AddNumber(cost);
  out.AddNumber(measure.price);
  out.Add(has_quantity ? "Standard" : "");
  out.AddNumber(has_quantity ? PricedQuantity(usage->quantity, measure.per) : "");
  out.Add(has_quantity ? fmt::format("{} {}", measure.per, measure.unit) : "");
  out.Add(invoice.seller.name);
  out.Add(invoice.seller.name);
  out.Add(usage == nullptr ? "" : usage->instance);
  out.Add(usage == nullptr ? "" : LastSegment(usage->instance));
  out.Add(has_instance ? "Instance" : "");
  out.Add("AI and Machine Learning");
  out.Add("Inference");
  out.Add(invoice.seller.name);
  out.Add(usage == nullptr ? "" : usage->variant);
  out.Add(meter);
  out.Add(has_price_book ? fmt::format("{}/{}/{}/{}", usage->price_book.ToString(), LastSegment(usage->variant),
                                       usage->isolation_class, PriceIdOf(*usage))
                         : "");
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
            .category = std::string(is_credit ? "Credit" : CategoryOf(line)),
            .description = DescriptionOf(line),
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
