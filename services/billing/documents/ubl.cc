#include <fmt/format.h>

#include "services/billing/documents/formats.h"
#include "services/billing/documents/text.h"
#include "services/common/markup.h"

namespace allod::billing::documents {
namespace {

constexpr std::string_view kNamespaces =
    "xmlns:cac=\"urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2\" "
    "xmlns:cbc=\"urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2\"";
constexpr std::string_view kUnit = "C62";  // UN/ECE Recommendation 20: one

std::string_view UnitOf(ChargeUnit unit) { return unit == ChargeUnit::kSecond ? "SEC" : kUnit; }

// Elements, indented by how deep they are.
class Xml {
 public:
  void Open(std::string_view name, std::string_view attributes = "") {
    Indent();
    out_ += fmt::format("<{}{}{}>\n", name, attributes.empty() ? "" : " ", attributes);
    ++depth_;
  }
  void Close(std::string_view name) {
    --depth_;
    Indent();
    out_ += fmt::format("</{}>\n", name);
  }
  void Text(std::string_view name, std::string_view text, std::string_view attributes = "") {
    Indent();
    out_ += fmt::format("<{0}{1}{2}>{3}</{0}>\n", name, attributes.empty() ? "" : " ", attributes, InMarkup(text));
  }
  // Nothing for an empty text: UBL has no empty elements.
  void TextIfAny(std::string_view name, std::string_view text) {
    if (!text.empty()) Text(name, text);
  }
  std::string Take() { return std::move(out_); }

 private:
  void Indent() { out_.append(static_cast<std::size_t>(depth_) * 2, ' '); }
  std::string out_ = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  int depth_ = 0;
};

class Writer {
 public:
  Writer(const IssuedInvoice& invoice, int decimals)
      : invoice_(invoice),
        decimals_(decimals),
        is_credit_(IsCredit(invoice)),
        currency_(fmt::format("currencyID=\"{}\"", invoice.currency_code)) {}

  std::string Write() {
    const std::string root = is_credit_ ? "CreditNote" : "Invoice";
    xml_.Open(root, fmt::format("xmlns=\"urn:oasis:names:specification:ubl:schema:xsd:{}-2\" {}", root, kNamespaces));
    Head();
    Supplier();
    Customer();
    xml_.Open("cac:PaymentTerms");
    xml_.Text("cbc:Note", PaymentTerms());
    xml_.Close("cac:PaymentTerms");
    Taxes();
    Totals();
    for (const IssuedLine& line : invoice_.lines) Line(line);
    xml_.Close(root);
    return xml_.Take();
  }

 private:
  void Head() {
    xml_.Text("cbc:CustomizationID", "urn:cen.eu:en16931:2017");
    xml_.Text("cbc:ID", invoice_.number);
    xml_.Text("cbc:IssueDate", Date(invoice_.issue_time));
    if (!is_credit_) xml_.Text("cbc:DueDate", Date(invoice_.due_time));
    if (is_credit_) {
      xml_.Text("cbc:CreditNoteTypeCode", "381");
    } else {
      xml_.Text("cbc:InvoiceTypeCode", "380");
    }
    xml_.TextIfAny("cbc:Note", invoice_.reason);
    xml_.Text("cbc:DocumentCurrencyCode", invoice_.currency_code);
    xml_.TextIfAny("cbc:BuyerReference", invoice_.buyer_reference);
    Period(invoice_.period);
    if (!is_credit_) return;
    xml_.Open("cac:BillingReference");
    xml_.Open("cac:InvoiceDocumentReference");
    xml_.Text("cbc:ID", invoice_.corrected_number);
    xml_.Text("cbc:IssueDate", Date(invoice_.corrected_issue_time));
    xml_.Close("cac:InvoiceDocumentReference");
    xml_.Close("cac:BillingReference");
  }

  void Period(const InvoicePeriod& period) {
    xml_.Open("cac:InvoicePeriod");
    xml_.Text("cbc:StartDate", Date(period.start));
    xml_.Text("cbc:EndDate", Date(LastDay(period)));
    xml_.Close("cac:InvoicePeriod");
  }

  void Supplier() {
    xml_.Open("cac:AccountingSupplierParty");
    WriteParty(invoice_.seller);
    xml_.Close("cac:AccountingSupplierParty");
  }
  void Customer() {
    xml_.Open("cac:AccountingCustomerParty");
    WriteParty(invoice_.buyer);
    xml_.Close("cac:AccountingCustomerParty");
  }

  void WriteParty(const Party& party) {
    xml_.Open("cac:Party");
    xml_.Open("cac:PostalAddress");
    xml_.TextIfAny("cbc:StreetName", party.street);
    xml_.TextIfAny("cbc:CityName", party.city);
    xml_.TextIfAny("cbc:PostalZone", party.postal_code);
    xml_.Open("cac:Country");
    xml_.Text("cbc:IdentificationCode", Upper(party.country_code));
    xml_.Close("cac:Country");
    xml_.Close("cac:PostalAddress");
    // BR-O-02 and its like: what is out of scope names no tax id.
    if (!party.tax_id.empty() && !IsOutOfScope()) {
      xml_.Open("cac:PartyTaxScheme");
      xml_.Text("cbc:CompanyID", TaxId(party));
      TaxScheme();
      xml_.Close("cac:PartyTaxScheme");
    }
    xml_.Open("cac:PartyLegalEntity");
    xml_.Text("cbc:RegistrationName", party.name);
    xml_.TextIfAny("cbc:CompanyID", party.registration_id);
    xml_.Close("cac:PartyLegalEntity");
    xml_.Close("cac:Party");
  }

  bool IsOutOfScope() const { return invoice_.taxes.front().category == TaxCategory::kOutOfScope; }

  // BR-CO-09: with the country before it.
  static std::string TaxId(const Party& party) {
    const std::string country = party.country_code == "gr" ? "EL" : Upper(party.country_code);
    return party.tax_id.starts_with(country) ? party.tax_id : country + party.tax_id;
  }

  std::string PaymentTerms() const {
    if (is_credit_) return "Credit on invoice " + invoice_.corrected_number;
    return invoice_.payment_terms.empty() ? "Due " + Date(invoice_.due_time) : invoice_.payment_terms;
  }

  void TaxScheme() {
    xml_.Open("cac:TaxScheme");
    xml_.Text("cbc:ID", "VAT");
    xml_.Close("cac:TaxScheme");
  }

  void Category(std::string_view element, TaxCategory category, std::int32_t basis_points, std::string_view note) {
    xml_.Open(element);
    xml_.Text("cbc:ID", CodeOf(category));
    if (category != TaxCategory::kOutOfScope) xml_.Text("cbc:Percent", Percent(basis_points));
    const bool has_reason = category != TaxCategory::kStandard && category != TaxCategory::kZeroRated;
    if (has_reason) xml_.TextIfAny("cbc:TaxExemptionReason", note);
    TaxScheme();
    xml_.Close(element);
  }

  void Money(std::string_view element, Amount amount) { xml_.Text(element, Fixed(amount, decimals_), currency_); }

  void Taxes() {
    xml_.Open("cac:TaxTotal");
    Money("cbc:TaxAmount", invoice_.tax);
    for (const TaxSubtotal& tax : invoice_.taxes) {
      xml_.Open("cac:TaxSubtotal");
      Money("cbc:TaxableAmount", tax.taxable);
      Money("cbc:TaxAmount", tax.tax);
      Category("cac:TaxCategory", tax.category, tax.basis_points, tax.note);
      xml_.Close("cac:TaxSubtotal");
    }
    xml_.Close("cac:TaxTotal");
  }

  void Totals() {
    xml_.Open("cac:LegalMonetaryTotal");
    Money("cbc:LineExtensionAmount", invoice_.net);
    Money("cbc:TaxExclusiveAmount", invoice_.net);
    Money("cbc:TaxInclusiveAmount", invoice_.payable);
    Money("cbc:PayableAmount", invoice_.payable);
    xml_.Close("cac:LegalMonetaryTotal");
  }

  static Amount Magnitude(Amount amount) { return amount < Amount() ? Negated(amount) : amount; }

  static std::string DescriptionOf(const IssuedLine& line) {
    if (!line.charge) return fmt::format("{}, {}, {}", line.instance, line.variant, line.isolation_class);
    std::string out;
    for (const std::string& part : {line.instance, line.variant, line.isolation_class, line.charge->detail}) {
      if (!part.empty()) out += (out.empty() ? "" : ", ") + part;
    }
    return out;
  }

  void Line(const IssuedLine& line) {
    const std::string element = is_credit_ ? "cac:CreditNoteLine" : "cac:InvoiceLine";
    xml_.Open(element);
    xml_.Text("cbc:ID", std::to_string(line.number));
    const std::string_view code = !is_credit_ && line.charge ? UnitOf(line.charge->unit) : kUnit;
    const std::string unit = fmt::format("unitCode=\"{}\"", code);
    // What takes something off has a quantity below zero: prices have none (BR-27).
    const char* sign = line.amount < Amount() || line.exact < Amount() ? "-" : "";
    if (is_credit_) {
      xml_.Text("cbc:Note", fmt::format("Line {} of {}", line.credited_line, invoice_.corrected_number));
      xml_.Text("cbc:CreditedQuantity", fmt::format("{}1", sign), unit);
    } else {
      xml_.Text("cbc:InvoicedQuantity", fmt::format("{}{}", sign, line.quantity), unit);
    }
    Money("cbc:LineExtensionAmount", line.amount);
    Period(PeriodOf(line.month));
    xml_.Open("cac:Item");
    xml_.TextIfAny("cbc:Description", DescriptionOf(line));
    xml_.Text("cbc:Name", EnglishNameOf(line));
    Category("cac:ClassifiedTaxCategory", line.tax_category, line.tax_basis_points, "");
    xml_.Close("cac:Item");
    xml_.Open("cac:Price");
    if (is_credit_) {
      Money("cbc:PriceAmount", Magnitude(line.amount));
    } else if (line.charge) {
      xml_.Text("cbc:PriceAmount", Magnitude(line.unit_price).ToString(), currency_);
      xml_.Text("cbc:BaseQuantity", std::to_string(line.charge->per), unit);
    } else {
      xml_.Text("cbc:PriceAmount", PerMillion(line.unit_price), currency_);
      xml_.Text("cbc:BaseQuantity", "1000000", unit);
    }
    xml_.Close("cac:Price");
    xml_.Close(element);
  }

  const IssuedInvoice& invoice_;
  const int decimals_;
  const bool is_credit_;
  const std::string currency_;
  Xml xml_;
};

}  // namespace

std::string MakeUbl(const IssuedInvoice& invoice, int decimals) { return Writer(invoice, decimals).Write(); }

}  // namespace allod::billing::documents
