#include "cli/commands/invoice_view.h"

#include <gmock/gmock.h>

namespace allod::cli::commands::invoice_view_test {
namespace {

using testing::HasSubstr;
using testing::Not;

void Set(billing::v1::Money& money, const char* amount) {
  money.set_currency_code("KES");
  money.set_amount(amount);
}

billing::v1::Invoice Issued() {
  billing::v1::Invoice out;
  out.set_name("tenants/ke/invoices/2026-10");
  out.set_state(billing::v1::Invoice::STATE_ISSUED);
  out.set_kind(billing::v1::Invoice::KIND_INVOICE);
  out.set_number("KE-000001");
  auto& line = *out.add_lines();
  line.set_number(1);
  line.set_usage_period("2026-10");
  line.set_instance("tenants/ke/projects/p/instances/i");
  Set(*line.mutable_amount(), "1.57");
  Set(*out.mutable_total(), "1.57");
  auto& tax = *out.add_taxes();
  tax.set_basis_points(1650);
  Set(*tax.mutable_amount(), "0.26");
  Set(*out.mutable_payable(), "1.83");
  return out;
}

TEST(ShowInvoice, ShowsWhatIsIssuedWithNumberTaxAndWhatIsToPay) {
  const std::string shown = ShowInvoice(Issued());
  EXPECT_THAT(shown, HasSubstr("number KE-000001"));
  EXPECT_THAT(shown, HasSubstr("1.57"));
  EXPECT_THAT(shown, HasSubstr("Tax (16.50 %): KES 0.26"));
  EXPECT_THAT(shown, HasSubstr("To pay: KES 1.83"));
}

TEST(ShowInvoice, ChargesStandInATableOfTheirOwn) {
  billing::v1::Invoice invoice = Issued();
  EXPECT_THAT(ShowInvoice(invoice), Not(HasSubstr("CHARGE")));
  auto& line = *invoice.add_lines();
  line.set_number(2);
  Set(*line.mutable_amount(), "-0.57");
  line.mutable_charge()->set_kind(billing::v1::Invoice::Charge::KIND_DISCOUNT);
  line.mutable_charge()->set_detail("20%");
  const std::string shown = ShowInvoice(invoice);
  EXPECT_THAT(shown, HasSubstr("CHARGE"));
  EXPECT_THAT(shown, HasSubstr("20%"));
  EXPECT_THAT(shown, HasSubstr("-0.57"));
  invoice.mutable_lines()->DeleteSubrange(0, 1);
  EXPECT_THAT(ShowInvoice(invoice), Not(HasSubstr("AT / MILLION")));
}

TEST(ShowInvoice, ADraftHasNeither) {
  billing::v1::Invoice draft = Issued();
  draft.set_state(billing::v1::Invoice::STATE_DRAFT);
  draft.clear_number();
  draft.clear_taxes();
  draft.clear_payable();
  const std::string shown = ShowInvoice(draft);
  EXPECT_THAT(shown, Not(HasSubstr("number")));
  EXPECT_THAT(shown, Not(HasSubstr("To pay")));
  EXPECT_THAT(shown, HasSubstr("Total: KES 1.57"));
}

TEST(ShowInvoice, ACreditNoteSaysWhatItCorrects) {
  billing::v1::Invoice note = Issued();
  note.set_kind(billing::v1::Invoice::KIND_CREDIT_NOTE);
  note.set_corrected_number("KE-000001");
  note.set_reason("The price was wrong");
  const std::string shown = ShowInvoice(note);
  EXPECT_THAT(shown, HasSubstr("corrects KE-000001: The price was wrong"));
  EXPECT_THAT(shown, HasSubstr("Credited: KES 1.83"));
}

}  // namespace
}  // namespace allod::cli::commands::invoice_view_test
