#include "services/billing/charge_lines.h"

#include <algorithm>
#include <tuple>

namespace allod::billing {

Status AddChargeLines(std::vector<Charge> charges, const TaxRule& tax, int decimals, bool lines_left,
                      IssuedInvoice& out) {
  const auto takes_off = [](const Charge& charge) { return charge.exact < Amount(); };
  std::ranges::sort(charges, {}, [&](const Charge& charge) {
    return std::tuple(takes_off(charge), charge.terms.kind, charge.month, charge.instance, charge.variant,
                      charge.isolation_class, charge.price_book, charge.terms.term, charge.terms.id.value_or(Uuid()));
  });
  Amount net;
  for (const IssuedLine& line : out.lines) {
    ALLOD_TRY(net, Add(net, line.amount));
  }
  for (Charge& charge : charges) {
    const bool is_of_terms = !charge.terms.term.empty();
    if (!is_of_terms && out.lines.size() >= kIssuedLinesMax) {
      lines_left = true;
      continue;
    }
    Amount amount = Round(charge.exact, decimals);
    ALLOD_TRY(Amount after, Add(net, amount));
    if (after < Amount()) {
      if (!is_of_terms) continue;
      amount = Amount::FromPico(-net.pico());
      after = Amount();
      if (lines_left) charge.exact = charge.unit_price = amount;
      if (charge.exact == Amount()) continue;
    }
    net = after;
    ALLOD_TRY(const Amount left, Subtract(charge.exact, amount));
    ALLOD_TRY(out.residue, Add(out.residue, left));
    out.lines.push_back({.number = static_cast<std::int32_t>(out.lines.size()) + 1,
                         .month = charge.month,
                         .instance = std::move(charge.instance),
                         .variant = std::move(charge.variant),
                         .price_book = charge.price_book,
                         .isolation_class = std::move(charge.isolation_class),
                         .quantity = charge.quantity,
                         .unit_price = charge.unit_price,
                         .exact = charge.exact,
                         .amount = amount,
                         .tax_category = tax.category,
                         .tax_basis_points = tax.basis_points,
                         .charge = std::move(charge.terms)});
  }
  return {};
}

Result<ChargeSums> SumCharges(const IssuedInvoice& invoice) {
  ChargeSums out;
  for (const IssuedLine& line : invoice.lines) {
    if (!line.charge || IsOwedAlready(*line.charge)) continue;
    if (line.exact > Amount()) {
      ALLOD_TRY(out.charge, Add(out.charge, line.exact));
    } else {
      ALLOD_TRY(out.discount, Subtract(out.discount, line.exact));
    }
  }
  return out;
}

}  // namespace allod::billing
