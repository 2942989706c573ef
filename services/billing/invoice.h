// Issued invoices and credit notes: their values, and what makes them. docs/billing-contract.md and docs/ledger.md
// state the same rules.
//
// An issued document is immutable: who sold, who bought, lines, taxes and sums are copied into it, so that whatever
// changes later, what is made of it (services/billing/documents) is the same to the last byte. Each line is rounded
// once to the currency's minor unit, half to even; taxes are computed on the rounded sum of each category. The sums
// follow EN 16931, rules BR-CO-10 to BR-CO-17.
//
// Pure: no I/O, no clock, no proto, no SQL.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/billing/charge.h"
#include "services/billing/domain.h"
#include "services/common/request_id.h"

namespace allod::billing {

inline constexpr std::size_t kIssuedLinesMax = 6'000;  // fits into one message; what is beyond comes into the next one
inline constexpr int kCreditNotesPerInvoiceMax = 200;
inline constexpr int kBasisPointsMax = 10'000;
// After the end of its month, so that what is settled late comes into the month's own invoice. No hold lasts longer,
// and it is at least kLeaseEndsAfter: leases do not hold up a month.
inline constexpr std::chrono::seconds kSettlementGraceDefault = std::chrono::hours(24);
inline constexpr std::string_view kTaxPayable = "tax-payable";  // ledger account

// A seller or a buyer as it is named on a document.
struct Party {
  std::string name;
  std::string street;
  std::string city;
  std::string postal_code;
  std::string country_code;     // ISO 3166-1 alpha-2, lower case
  std::string tax_id;           // for VAT or the like; may be empty
  std::string registration_id;  // in the register of companies or the like; may be empty

  bool operator==(const Party&) const = default;
};

// UNCL 5305, as EN 16931 uses it: S, Z, E, AE, G, O.
enum class TaxCategory { kStandard = 1, kZeroRated, kExempt, kReverseCharge, kExport, kOutOfScope };
std::string_view CodeOf(TaxCategory category);

struct TaxRule {
  TaxCategory category = TaxCategory::kOutOfScope;
  std::int32_t basis_points = 0;  // hundredths of a percent
  std::string note;               // why there is none; of a reverse charge, that it is one

  bool operator==(const TaxRule&) const = default;
};

// Who issues invoices. Their numbers have no gap.
struct LegalEntity {
  std::string id;
  Party party;
  std::string invoice_prefix;  // for good
  std::string credit_note_prefix;
  std::int32_t payment_days = 0;
  std::string payment_terms;  // where to pay, in words; may be empty
};

// How an account is invoiced.
struct BillingProfile {
  TenantId tenant;
  std::string tenant_name;
  std::string legal_entity;  // id
  Party buyer;
  std::string buyer_reference;  // may be empty
  TaxRule tax;
  bool finalise_by_hand = false;  // else ended months are finalised by themselves
};

enum class Meter { kPrompt = 1, kCompletion };

// A row of the running totals that has tokens which no invoice has yet.
struct OpenUsage {
  Time month;
  InvoiceLine totals;  // all of the month so far
  std::int64_t requests_invoiced = 0;
  std::int64_t prompt_tokens_invoiced = 0;
  std::int64_t completion_tokens_invoiced = 0;
  std::int32_t next_epoch = 0;  // the first that no line has
};

// Of tokens, or of a charge.
struct IssuedLine {
  std::int32_t number = 0;  // from 1
  Time month;               // of the requests; before the document's: they were settled after it had been invoiced
  std::string instance;     // of a charge empty, as the next three, if it is the tenant's as a whole
  std::string variant;
  Uuid price_book;
  std::string isolation_class;
  Meter meter = Meter::kPrompt;    // not of a charge, as the next three
  std::int64_t request_count = 0;  // of a credit 0
  // Which requests: those of the month, instance, variant, book and class that were settled in these epochs. Every
  // invoice of a tenant begins one.
  std::int32_t first_epoch = 0;
  std::int32_t last_epoch = 0;
  std::int64_t quantity = 0;  // tokens, or units of the charge; of a credit 0
  Amount unit_price;          // of one token, or of charge->per units
  Amount exact;               // quantity x unit_price
  Amount amount;              // rounded; of a credit what is given back. Of what takes off negative
  TaxCategory tax_category = TaxCategory::kOutOfScope;
  std::int32_t tax_basis_points = 0;
  std::int32_t credited_line = 0;  // of a credit: the line of the invoice
  std::optional<ChargeTerms> charge;
};

struct TaxSubtotal {
  TaxCategory category = TaxCategory::kOutOfScope;
  std::int32_t basis_points = 0;
  Amount taxable;
  Amount tax;
  std::string note;
};

struct IssuedInvoice {
  enum class Kind { kInvoice = 1, kCreditNote };

  TenantId tenant;
  std::string tenant_name;
  std::string id;  // YYYY-MM; of a credit note that and -cN
  Kind kind = Kind::kInvoice;
  InvoicePeriod period;
  std::string legal_entity;
  std::int64_t sequence = 0;  // 0 until the store gives it
  std::string number;
  std::string currency_code;
  Time issue_time;  // whole microseconds; never before that of the number before
  Time due_time;
  Party seller;
  Party buyer;
  std::string buyer_reference;
  std::string payment_terms;
  std::vector<IssuedLine> lines;
  std::vector<TaxSubtotal> taxes;
  Amount net;  // of the lines
  Amount tax;
  Amount payable;  // of a credit note: given back
  Amount residue;  // exact less rounded, of all lines
  // Of a credit note.
  std::string corrected_id;
  std::string corrected_number;
  Time corrected_issue_time;
  std::string reason;
  RequestId request;
};

// INVALID_ARGUMENT with the field: INVALID_TEXT, INVALID_ID, UNKNOWN_COUNTRY, INVALID_NUMBER_PREFIX,
// INVALID_PAYMENT_DAYS.
Status CheckLegalEntity(const LegalEntity& entity);
// The same, and INVALID_TAX: a rate without tax, a tax without rate, or one that needs a note.
Status CheckBillingProfile(const BillingProfile& profile);
// The stored entity has the prefixes of the one that is to be set. FAILED_PRECONDITION / NUMBER_PREFIX_IMMUTABLE.
Status CheckSamePrefixes(const LegalEntity& stored, const LegalEntity& wanted);
// What differs, for people: `party.street: Moi Avenue 1 -> Moi Avenue 2`. Of all but the prefixes, which never do.
std::string ChangesOf(const LegalEntity& before, const LegalEntity& after);
// No prefix of one entity is one of another's. ALREADY_EXISTS / NUMBER_PREFIX_TAKEN.
Status CheckPrefixIsFree(const LegalEntity& taker, const LegalEntity& wanted);
bool SameProfile(const BillingProfile& a, const BillingProfile& b);
// FAILED_PRECONDITION / NO_LEGAL_ENTITY.
Error NoLegalEntity(const std::string& id);
// What the category needs of both on a document (BR-S-02, BR-AE-02 and the like). FAILED_PRECONDITION / TAX_ID_MISSING.
Status CheckTaxIds(const TaxRule& tax, const Party& seller, const Party& buyer);

// YYYY-MM, `current`, or a credit note's YYYY-MM-cN.
struct InvoiceId {
  InvoicePeriod period;
  int credit_note = 0;  // N; 0 for the invoice
  std::string ToString() const;
};
Result<InvoiceId> ParseInvoiceId(std::string_view text, Time now);

// Of a taxable amount that is rounded to a minor unit; rounded.
Amount TaxOn(Amount taxable, std::int32_t basis_points, int decimals);

struct FinaliseCommand {
  TenantId tenant;
  InvoicePeriod period;
  std::chrono::seconds grace{};
};

inline constexpr int kHoldsNamedMax = 5;

struct FinaliseState {
  std::optional<BillingAccount> account;
  std::optional<BillingProfile> profile;
  std::optional<LegalEntity> issuer;  // of the profile
  std::int32_t epoch = 0;             // the one that the invoice ends
  std::optional<Time> last_period;    // month of the newest invoice
  std::int64_t open_hold_count = 0;   // of requests that were admitted before the end of the period
  std::vector<Uuid> open_holds;       // the first of them, kHoldsNamedMax at most
  std::vector<OpenUsage> usage;       // of the period and of those before it; kIssuedLinesMax + 1 at most
  std::vector<Charge> charges;        // likewise
};

// The invoice of a period that has none, without its number: the first kIssuedLinesMax lines of what is open, both
// meters of a row or none, and then charges (charge_lines.h). FAILED_PRECONDITION / NO_BILLING_ACCOUNT,
// NO_BILLING_PROFILE, PERIOD_OPEN (says until when), HOLDS_OPEN (names them), EARLIER_PERIOD_OPEN,
// LATER_PERIOD_FINALISED, NOTHING_TO_INVOICE, TAX_ID_MISSING; INVALID_ARGUMENT / INVALID_PERIOD.
Result<IssuedInvoice> DecideFinalise(const FinaliseState& state, const FinaliseCommand& command, Time now);

struct CreditCommand {
  TenantId tenant;
  InvoicePeriod period;  // of the invoice
  struct Line {
    std::int32_t number = 0;
    std::optional<Amount> amount;  // net, of the line's sign; absent: what is left of the line
  };
  std::vector<Line> lines;  // empty: what is left of the invoice
  std::string reason;
  RequestId request;  // always given
};

struct CreditState {
  IssuedInvoice invoice;
  std::map<std::int32_t, Amount> credited;  // net, by line
  int credit_notes = 0;
};

// The credit note, without its number. INVALID_ARGUMENT / INVALID_CREDIT; FAILED_PRECONDITION / CREDIT_EXCEEDS_INVOICE,
// NOTHING_TO_CREDIT, TOO_MANY_CREDIT_NOTES.
Result<IssuedInvoice> DecideCredit(const CreditState& state, const CreditCommand& command, Time now);

// BR-CO-10, 13, 14, 15, 16 and 17 of EN 16931 (11 and 12: allowances and charges are lines), that nothing is negative
// as a whole, and that every amount is one of the currency's minor unit. INTERNAL / INVOICE_ARITHMETIC names the rule:
// a document is not made.
Status CheckTotals(const IssuedInvoice& invoice);

}  // namespace allod::billing
