#include "services/billing/invoice_totals.h"

#include <fmt/format.h>

namespace allod::billing {
namespace {

std::unexpected<Error> Wrong(const IssuedInvoice& invoice, const char* rule, Amount a, Amount b) {
  return Fail(Code::kInternal, "INVOICE_ARITHMETIC",
              fmt::format("invoice {} of {}: {} does not hold: {} is not {}", invoice.id, invoice.tenant_name, rule,
                          a.ToString(), b.ToString()));
}

}  // namespace

Amount TaxOn(Amount taxable, std::int32_t basis_points, int decimals) {
  // No currency has more than four decimals, so that the division leaves nothing.
  return Round(Amount::FromPico(taxable.pico() / kBasisPointsMax * basis_points), decimals);
}

Result<std::map<TaxKey, Amount>> NetByTax(const std::vector<IssuedLine>& lines) {
  std::map<TaxKey, Amount> out;
  for (const IssuedLine& line : lines) {
    Amount& sum = out[{line.tax_category, line.tax_basis_points}];
    ALLOD_TRY(sum, Add(sum, line.amount));
  }
  return out;
}

Status AddUp(IssuedInvoice& out) {
  for (const TaxSubtotal& subtotal : out.taxes) {
    ALLOD_TRY(out.net, Add(out.net, subtotal.taxable));
    ALLOD_TRY(out.tax, Add(out.tax, subtotal.tax));
  }
  ALLOD_TRY(out.payable, Add(out.net, out.tax));
  return CheckTotals(out);
}

Status CheckTotals(const IssuedInvoice& invoice) {
  ALLOD_TRY(const int decimals, MinorUnitDecimals("currency_code", invoice.currency_code));
  ALLOD_TRY(const auto nets, NetByTax(invoice.lines));
  Amount net, tax;
  for (const auto& [key, sum] : nets) {
    ALLOD_TRY(net, Add(net, sum));
  }
  for (const IssuedLine& line : invoice.lines) {
    if (Round(line.amount, decimals) != line.amount) {
      return Wrong(invoice, "the minor unit of a line", line.amount, Round(line.amount, decimals));
    }
  }
  if (nets.size() != invoice.taxes.size()) {
    return Wrong(invoice, "BR-CO-18", Amount::FromPico(static_cast<Int128>(nets.size())),
                 Amount::FromPico(static_cast<Int128>(invoice.taxes.size())));
  }
  Int128 minor_unit = 1'000'000'000'000;
  for (int i = 0; i < decimals; ++i) minor_unit /= 10;
  for (const TaxSubtotal& subtotal : invoice.taxes) {
    const auto taxed = nets.find({subtotal.category, subtotal.basis_points});
    if (taxed == nets.end() || taxed->second != subtotal.taxable) {
      return Wrong(invoice, "the taxable amount of a category", subtotal.taxable,
                   taxed == nets.end() ? Amount() : taxed->second);
    }
    const Amount expected = TaxOn(subtotal.taxable, subtotal.basis_points, decimals);
    // A credit's tax is part of a sum that is rounded as a whole: one minor unit to either side.
    const Int128 slack = invoice.kind == IssuedInvoice::Kind::kCreditNote ? minor_unit : 0;
    const Int128 off = subtotal.tax.pico() - expected.pico();
    if (off > slack || off < -slack || Round(subtotal.tax, decimals) != subtotal.tax) {
      return Wrong(invoice, "BR-CO-17", subtotal.tax, expected);
    }
    ALLOD_TRY(tax, Add(tax, subtotal.tax));
  }
  if (invoice.net != net) return Wrong(invoice, "BR-CO-10 and BR-CO-13", invoice.net, net);
  if (net < Amount()) return Wrong(invoice, "that nothing is negative", net, Amount());
  if (invoice.tax != tax) return Wrong(invoice, "BR-CO-14", invoice.tax, tax);
  ALLOD_TRY(const Amount gross, Add(net, tax));
  if (invoice.payable != gross) return Wrong(invoice, "BR-CO-15 and BR-CO-16", invoice.payable, gross);
  return {};
}

}  // namespace allod::billing
